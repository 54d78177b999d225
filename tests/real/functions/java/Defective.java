import java.util.Map;

/** A class that fails while it is loaded. */
public final class Defective {
    private static final class Broken extends RuntimeException {
        Broken(String message) {
            super(message);
        }
    }

    private static final int NEVER = refuse();

    private static int refuse() {
        throw new Broken("broken while loading");
    }

    public static String handler(String event, Map<String, String> context) {
        return event;
    }
}
