/** Sleeps. */
public class Sleeper {
    public static void main(String[] arguments) throws InterruptedException {
        System.out.println("ready");
        Thread.sleep(3_600_000);
    }
}
