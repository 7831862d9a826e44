public class Slow {
    public static void main(String[] arguments) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                Thread.sleep(60_000);
            } catch (InterruptedException e) {
                // It ends all the same.
            }
        }));
        System.out.println("ready");
        Thread.sleep(1_000_000);
    }
}
