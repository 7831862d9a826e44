/** Waits for what it starts itself; see the tests for what it is given. */
public class Foreign {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 5 && args.length > 0; i++) {
            new ProcessBuilder(args).start().waitFor();
        }
        Thread.sleep(1000000);
    }
}
