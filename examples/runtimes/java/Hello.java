import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Functions for the runtime beside this file. A real one would bring a library for JSON. */
public final class Hello {
    private static final Pattern NAME = Pattern.compile("\"name\"\\s*:\\s*\"([^\"\\\\]*)\"");

    /** What is kept between invocations: fields, for as long as the environment lives. */
    private static int calls;

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

    public static String count(String event, Map<String, String> context) {
        calls += 1;
        return "{\"calls\": " + calls + "}";
    }

    /** What a function knows about its invocation and about itself. */
    public static String about(String event, Map<String, String> context) {
        long remaining = Long.parseLong(context.get("deadline-ms")) - System.currentTimeMillis();
        return String.format(
                "{\"requestId\": \"%s\", \"arn\": \"%s\", \"traceId\": \"%s\", \"remainingMs\": %d,"
                        + " \"clientContext\": %s, \"name\": \"%s\", \"version\": \"%s\","
                        + " \"memoryMb\": %s}",
                context.get("aws-request-id"),
                context.get("invoked-function-arn"),
                context.get("trace-id"),
                remaining,
                context.getOrDefault("client-context", "null"),
                System.getenv("AWS_LAMBDA_FUNCTION_NAME"),
                System.getenv("AWS_LAMBDA_FUNCTION_VERSION"),
                System.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    }
}
