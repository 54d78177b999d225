import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The kit of tests/real in Java: `handler` does what the event asks for. */
public final class Kit {
    /** The only type that `fail` can throw: a class cannot be made at run time. */
    public static final class Shortage extends RuntimeException {
        Shortage(String message) {
            super(message);
        }
    }

    /** A process id would be the same in every environment. */
    private static final String PROCESS = java.util.UUID.randomUUID().toString();

    private static int count = 0;

    public static String handler(String event, Map<String, String> context) throws Exception {
        if (!event.startsWith("{\"do\"")) {
            return event;
        }
        return switch (field(event, "do")) {
            case "count" -> count(event);
            case "context" -> describe(context);
            case "fail" -> throw new Shortage(field(event, "message"));
            case "sleep" -> {
                Thread.sleep(number(event, "ms"));
                yield count(event);
            }
            case "exit" -> {
                System.exit(number(event, "code"));
                yield "null";
            }
            case "size" -> "{\"size\": " + field(event, "value").length() + "}";
            case "big" -> '"' + "x".repeat(number(event, "n")) + '"';
            case "log" -> log(event.substring(event.indexOf('[')));
            default -> event;
        };
    }

    private static String count(String event) {
        count++;
        return String.format(
                "{\"count\": %d, \"process\": \"%s\", \"tag\": %d}", count, PROCESS, number(event, "tag"));
    }

    private static String describe(Map<String, String> context) {
        long remaining = Long.parseLong(context.get("deadline-ms")) - System.currentTimeMillis();
        return String.format(
                "{\"request_id\": \"%s\", \"arn\": \"%s\", \"remaining_ms\": %d, \"name\": \"%s\","
                        + " \"version\": \"%s\", \"memory\": %s}",
                context.get("aws-request-id"),
                context.get("invoked-function-arn"),
                remaining,
                System.getenv("AWS_LAMBDA_FUNCTION_NAME"),
                System.getenv("AWS_LAMBDA_FUNCTION_VERSION"),
                System.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    }

    private static String log(String lines) {
        Matcher line = Pattern.compile("\"([^\"\\\\]*+)\"").matcher(lines);
        while (line.find()) {
            System.out.println(line.group(1));
        }
        return "null";
    }

    private static int number(String event, String name) {
        return Integer.parseInt(field(event, name));
    }

    private static String field(String event, String name) {
        Matcher value =
                Pattern.compile("\"" + name + "\"\\s*:\\s*(?:\"([^\"\\\\]*+)\"|(\\d+))")
                        .matcher(event);
        if (!value.find()) {
            return "0";
        }
        return value.group(1) != null ? value.group(1) : value.group(2);
    }
}
