import java.io.DataInputStream;
import java.net.ServerSocket;
import java.net.Socket;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A Java program as PID 1: threads that talk over sockets and check every answer. The JVM waits
 * for the processes that it started and does not adopt orphans.
 *
 * <p>Prints its pid, then OK with the number of answers when its standard input is closed.
 */
public class Leak {
    static final AtomicLong answers = new AtomicLong();

    interface Work {
        void run() throws Exception;
    }

    static void start(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Throwable error) {
                System.out.println("BAD " + error);
                Runtime.getRuntime().halt(1);
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    static byte[] sha(byte[] data) throws Exception {
        return MessageDigest.getInstance("SHA-256").digest(data);
    }

    static void serve(Socket socket) throws Exception {
        DataInputStream in = new DataInputStream(socket.getInputStream());
        byte[] data = new byte[1000];
        while (true) {
            in.readFully(data);
            socket.getOutputStream().write(sha(data));
        }
    }

    static void ask(int port, int seed) throws Exception {
        try (Socket socket = new Socket("127.0.0.1", port)) {
            DataInputStream in = new DataInputStream(socket.getInputStream());
            byte[] data = new byte[1000];
            byte[] answer = new byte[32];
            for (int n = 0; ; n++) {
                Arrays.fill(data, (byte) (seed * 31 + n));
                socket.getOutputStream().write(data);
                in.readFully(answer);
                if (!Arrays.equals(answer, sha(data))) {
                    throw new IllegalStateException("wrong answer");
                }
                answers.incrementAndGet();
                long before = System.nanoTime();
                Thread.sleep(3);
                if (System.nanoTime() - before < 2_900_000) {
                    throw new IllegalStateException("woke early");
                }
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        ServerSocket server = new ServerSocket(0);
        start(() -> {
            while (true) {
                Socket socket = server.accept();
                start(() -> serve(socket));
            }
        });
        for (int i = 0; i < 3; i++) {
            int seed = i;
            start(() -> ask(server.getLocalPort(), seed));
        }
        start(() -> {
            while (true) {
                int code = new ProcessBuilder("sh", "-c", "sleep 0.01 &").start().waitFor();
                if (code != 0) {
                    throw new IllegalStateException("shell: " + code);
                }
                Thread.sleep(20);
            }
        });
        System.out.println(ProcessHandle.current().pid());
        while (System.in.read() >= 0) {}
        System.out.println("OK " + answers.get() + " answers");
        Runtime.getRuntime().halt(0);
    }
}
