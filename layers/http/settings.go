package main

import (
	"net"
	"strconv"
	"strings"
	"time"

	"rie/layers/internal/runtimeapi"
)

const invalidSetting = "Runtime.InvalidSetting"

// The settings, with their defaults in readSettings.
type settings struct {
	command      string // a command line, instead of the handler
	host         string
	port         int // 0: one that is free
	readyPath    string
	readyByTCP   bool
	readyTimeout time.Duration
	basePath     string // is cut off paths
	eventPath    string // where events go that are no requests
	binaryTypes  []string
	errorStatus  []statusRange
}

type statusRange struct{ from, to int }

// readSettings reads the variables. Those of AWS's Lambda Web Adapter are understood too, so that
// a function can change from one to the other.
func readSettings(lookUp func(string) string) (*settings, *runtimeapi.Failure) {
	reader := &settingsReader{lookUp: lookUp}
	made := &settings{
		command:      reader.text("", "RIE_HTTP_COMMAND"),
		host:         reader.text("127.0.0.1", "RIE_HTTP_HOST", "AWS_LWA_HOST"),
		port:         reader.number(8080, 0, 65535, "RIE_HTTP_PORT", "AWS_LWA_PORT", "PORT"),
		readyPath:    reader.path("/", "RIE_HTTP_READY_PATH", "AWS_LWA_READINESS_CHECK_PATH"),
		readyByTCP:   reader.choice("http", "tcp", "RIE_HTTP_READY_PROTOCOL", "AWS_LWA_READINESS_CHECK_PROTOCOL"),
		readyTimeout: reader.seconds(9500*time.Millisecond, "RIE_HTTP_READY_TIMEOUT"),
		basePath:     strings.TrimRight(reader.path("/", "RIE_HTTP_BASE_PATH", "AWS_LWA_REMOVE_BASE_PATH"), "/"),
		eventPath:    reader.path("/events", "RIE_HTTP_EVENT_PATH", "AWS_LWA_PASS_THROUGH_PATH"),
		binaryTypes:  list(reader.text("", "RIE_HTTP_BINARY_TYPES")),
		errorStatus:  reader.statuses("RIE_HTTP_ERROR_STATUS", "AWS_LWA_ERROR_STATUS_CODES"),
	}
	if reader.choice("buffered", "response_stream", "RIE_HTTP_INVOKE_MODE", "AWS_LWA_INVOKE_MODE") {
		reader.fail("%s is response_stream, which this runtime does not have yet: set it to buffered")
	}
	return made, reader.failure
}

// address is where the server listens.
func (settings *settings) address() string {
	return net.JoinHostPort(settings.host, strconv.Itoa(settings.port))
}

// A settingsReader reads variables and keeps the first thing that is wrong with one.
type settingsReader struct {
	lookUp  func(string) string
	failure *runtimeapi.Failure
	name    string // of the variable that was read last
}

func (reader *settingsReader) text(byDefault string, names ...string) string {
	reader.name = names[0]
	for _, name := range names {
		if value := strings.TrimSpace(reader.lookUp(name)); value != "" {
			reader.name = name
			return value
		}
	}
	return byDefault
}

func (reader *settingsReader) fail(format string, arguments ...any) {
	if reader.failure == nil {
		reader.failure = runtimeapi.Failf(invalidSetting, format, append([]any{reader.name}, arguments...)...)
	}
}

func (reader *settingsReader) number(byDefault, least, most int, names ...string) int {
	text := reader.text(strconv.Itoa(byDefault), names...)
	value, err := strconv.Atoi(text)
	if err != nil || value < least || value > most {
		reader.fail("%s is %q; it must be a number from %d to %d", text, least, most)
	}
	return value
}

func (reader *settingsReader) seconds(byDefault time.Duration, names ...string) time.Duration {
	text := reader.text("", names...)
	if text == "" {
		return byDefault
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(value > 0 && value <= 900) {
		reader.fail("%s is %q; it must be a number of seconds, up to 900", text)
	}
	return time.Duration(value * float64(time.Second))
}

func (reader *settingsReader) path(byDefault string, names ...string) string {
	text := reader.text(byDefault, names...)
	if !strings.HasPrefix(text, "/") {
		reader.fail("%s is %q; a path begins with /", text)
	}
	return text
}

// choice tells whether the second of two values was chosen.
func (reader *settingsReader) choice(first, second string, names ...string) bool {
	text := strings.ToLower(reader.text(first, names...))
	if text != first && text != second {
		reader.fail("%s is %q; it can be %s or %s", text, first, second)
	}
	return text == second
}

// statuses reads a list such as 500,502-504.
func (reader *settingsReader) statuses(names ...string) []statusRange {
	var ranges []statusRange
	for _, item := range list(reader.text("", names...)) {
		low, high, isRange := strings.Cut(item, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || from < 100 || to > 999 || from > to {
			reader.fail("%s has %q; it is a list such as 500,502-504", item)
		}
		ranges = append(ranges, statusRange{from, to})
	}
	return ranges
}

func (settings *settings) isErrorStatus(status int) bool {
	for _, each := range settings.errorStatus {
		if each.from <= status && status <= each.to {
			return true
		}
	}
	return false
}

func list(text string) []string {
	var items []string
	for _, item := range strings.Split(text, ",") {
		if item = strings.ToLower(strings.TrimSpace(item)); item != "" {
			items = append(items, item)
		}
	}
	return items
}
