import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Functions for the runtime beside this file. */
public final class Hello {
    private static final Pattern NAME = Pattern.compile("\"name\"\\s*:\\s*\"([^\"\\\\]*)\"");

    public static String greet(String event, Map<String, String> context) {
        Matcher name = NAME.matcher(event);
        if (!name.find()) {
            throw new IllegalArgumentException("The event has no \"name\"");
        }
        System.out.println("greeting " + name.group(1) + " in " + context.get("aws-request-id"));
        return "{\"greeting\": \"Hello, " + name.group(1) + "!\"}";
    }

    /** Answers with the event, however large. */
    public static String echo(String event, Map<String, String> context) {
        return event;
    }
}
