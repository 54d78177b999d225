package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rie/layers/internal/runtimeapi"
)

// A bridge has the server answer events.
type bridge struct {
	server   *server
	settings *settings
	environ  func(string) string
}

func (bridge *bridge) handle(invocation *runtimeapi.Invocation) ([]byte, *runtimeapi.Failure) {
	if failure := bridge.server.revive(); failure != nil {
		return nil, failure
	}
	event := parseEvent(invocation.Event)
	request, failure := bridge.request(event, invocation)
	if failure != nil {
		return nil, failure
	}
	response, body, failure := bridge.exchange(request)
	if failure != nil {
		return nil, failure
	}
	if event.shape == other {
		return eventAnswer(request, response, body)
	}
	if bridge.settings.isErrorStatus(response.StatusCode) {
		return nil, badStatus(request, response, body)
	}
	return httpAnswer(event, response, body, bridge.settings.binaryTypes)
}

// --- the request ---

// Fields that concern one connection: RFC 9110, section 7.6.1. The length is Go's to write, and
// to expect a 100 Continue makes no sense with a body that is here.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}
var notForwarded = map[string]bool{"Content-Length": true, "Expect": true, "Host": true}

func (bridge *bridge) request(event *event, invocation *runtimeapi.Invocation) (*http.Request, *runtimeapi.Failure) {
	if event.shape == other {
		return bridge.eventRequest(invocation)
	}
	body, failure := event.body()
	if failure != nil {
		return nil, failure
	}
	target := withoutBase(event.encodedPath(), bridge.settings.basePath)
	request, failure := bridge.newRequest(event.method(), target, event.encodedQuery(), body)
	if failure != nil {
		return nil, failure
	}
	copyFields(request, event.fields())
	addDefaults(request, event)
	bridge.addContext(request, event, invocation)
	return request, nil
}

// eventRequest hands an event over that is no request: as the body of one.
func (bridge *bridge) eventRequest(invocation *runtimeapi.Invocation) (*http.Request, *runtimeapi.Failure) {
	request, failure := bridge.newRequest(http.MethodPost, bridge.settings.eventPath, "", invocation.Event)
	if failure != nil {
		return nil, failure
	}
	request.Header.Set("Content-Type", "application/json")
	bridge.addContext(request, &event{}, invocation)
	return request, nil
}

// newRequest takes path and query as they are to stand in the request line. They do not go through
// url.Parse, which has its own mind about what is written in which way.
func (bridge *bridge) newRequest(method, path, query string, body []byte) (*http.Request, *runtimeapi.Failure) {
	request, err := http.NewRequest(method, "http://"+bridge.settings.address(), bytes.NewReader(body))
	if err != nil {
		return nil, runtimeapi.Failf("Runtime.UnmarshalError", "the event is no request that can be made: %v", err)
	}
	// With the decoded path beside it the written one is taken as it is.
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return nil, runtimeapi.Failf("Runtime.UnmarshalError", "the event's path cannot be written: %v", err)
	}
	request.URL.Path, request.URL.RawPath, request.URL.RawQuery = decoded, path, query
	request.Header.Set("User-Agent", "") // none of our own
	return request, nil
}

func copyFields(request *http.Request, fields map[string][]string) {
	named := map[string]bool{}
	for name, values := range fields {
		if strings.EqualFold(name, "Connection") {
			for _, each := range strings.Split(strings.Join(values, ","), ",") {
				named[http.CanonicalHeaderKey(strings.TrimSpace(each))] = true
			}
		}
	}
	for name, values := range fields {
		name = http.CanonicalHeaderKey(name)
		if name == "Host" && len(values) > 0 {
			request.Host = values[0]
		}
		if hopByHop[name] || notForwarded[name] || named[name] {
			continue
		}
		if name == "User-Agent" {
			request.Header.Del(name)
		}
		for _, value := range values {
			if isFieldValue(value) && isToken(name) {
				request.Header.Add(name, value)
			}
		}
	}
}

// Go refuses a request with a field that it may not have; such a one is left out rather.
func isFieldValue(value string) bool {
	for i := 0; i < len(value); i++ {
		if (value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f {
			return false
		}
	}
	return true
}

func isToken(name string) bool {
	for i := 0; i < len(name); i++ {
		if !isAlphanumeric(name[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", name[i]) < 0 {
			return false
		}
	}
	return name != ""
}

// addDefaults says what a server behind a proxy expects to be told, where the event does not have it.
func addDefaults(request *http.Request, event *event) {
	if request.Host == "" || request.Host == request.URL.Host {
		if event.context.DomainName != "" {
			request.Host = event.context.DomainName
		}
	}
	if event.shape == loadBalancer {
		return // it has them all
	}
	for _, each := range [...][2]string{
		{"X-Forwarded-For", event.sourceIP()}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Port", "443"},
	} {
		if each[1] != "" && request.Header.Get(each[0]) == "" {
			request.Header.Set(each[0], each[1])
		}
	}
}

// addContext adds the two fields that AWS's Lambda Web Adapter has, with the names that it has in
// them. A client's own fields of these names do not get through.
func (bridge *bridge) addContext(request *http.Request, event *event, invocation *runtimeapi.Invocation) {
	request.Header.Del("X-Amzn-Request-Context")
	if event.shape != other {
		request.Header.Set("X-Amzn-Request-Context", asciiJSON(event.RawContext))
	}
	memory, _ := strconv.Atoi(bridge.environ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"))
	request.Header.Set("X-Amzn-Lambda-Context", asciiJSON(runtimeapi.MarshalJSON(map[string]any{
		"request_id":           invocation.RequestID,
		"deadline":             invocation.DeadlineMS,
		"invoked_function_arn": invocation.FunctionARN,
		"xray_trace_id":        textOrNull(invocation.TraceID),
		"client_context":       jsonOrNull(invocation.ClientContext),
		"identity":             jsonOrNull(invocation.CognitoIdentity),
		"tenant_id":            textOrNull(invocation.TenantID),
		"env_config": map[string]any{
			"function_name": bridge.environ("AWS_LAMBDA_FUNCTION_NAME"),
			"memory":        memory,
			"version":       bridge.environ("AWS_LAMBDA_FUNCTION_VERSION"),
			"log_group":     bridge.environ("AWS_LAMBDA_LOG_GROUP_NAME"),
			"log_stream":    bridge.environ("AWS_LAMBDA_LOG_STREAM_NAME"),
		},
	})))
	if invocation.TraceID != "" {
		request.Header.Set("X-Amzn-Trace-Id", invocation.TraceID)
	}
}

func textOrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func jsonOrNull(text string) any {
	if !json.Valid([]byte(text)) {
		return nil
	}
	return json.RawMessage(text)
}

// asciiJSON writes JSON on one line and in ASCII, as a header field needs it.
func asciiJSON(text []byte) string {
	var compact bytes.Buffer
	if json.Compact(&compact, text) != nil {
		return "null"
	}
	var written strings.Builder
	for _, char := range compact.String() {
		switch {
		case char < utf8.RuneSelf && char != 0x7f:
			written.WriteRune(char)
		case char <= 0xffff:
			fmt.Fprintf(&written, `\u%04x`, char)
		default:
			char -= 0x10000
			fmt.Fprintf(&written, `\u%04x\u%04x`, 0xd800+(char>>10), 0xdc00+(char&0x3ff))
		}
	}
	return written.String()
}

// --- the exchange ---

// exchange sends a request and reads the whole answer. Redirects are the client's to follow.
func (bridge *bridge) exchange(request *http.Request) (*http.Response, []byte, *runtimeapi.Failure) {
	server := bridge.server
	if time.Since(server.lastUse) > longestIdle {
		server.transport.CloseIdleConnections()
	}
	response, body, err, mayRepeat := bridge.attempt(request)
	if err != nil && isRefused(err) && server.endsSoon() {
		// It was about to end when the event came, and has not seen it.
		if failure := server.revive(); failure != nil {
			return nil, nil, failure
		}
		mayRepeat = true
	}
	if err != nil && mayRepeat {
		again := request.Clone(context.Background())
		again.Body, _ = request.GetBody()
		response, body, err, _ = bridge.attempt(again)
	}
	server.lastUse = time.Now()
	if err != nil {
		return nil, nil, bridge.explain(request, err)
	}
	return response, body, nil
}

var errTooLarge = fmt.Errorf("the answer is too large")
var errSwitches = fmt.Errorf("it changes to another protocol (101), which nobody has asked for")

// May be done twice: RFC 9110, section 9.2.2.
var idempotent = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodOptions: true, http.MethodTrace: true,
	http.MethodPut: true, http.MethodDelete: true,
}

// attempt tells, after an error, whether the request may be sent again: where a connection that
// was kept had been closed before, or without the request having been read, or where it does no
// harm. A server of several processes goes on when the one that was at work has died.
func (bridge *bridge) attempt(request *http.Request) (response *http.Response, body []byte, err error, mayRepeat bool) {
	wasKept, wasClosed, hasAnswered := false, false, false
	trace := &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			wasKept, wasClosed = got.Reused, got.Reused && isClosed(got.Conn)
		},
		GotFirstResponseByte: func() { hasAnswered = true },
	}
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), trace))
	response, err = bridge.server.transport.RoundTrip(request)
	if err != nil {
		isHarmless := wasClosed || isUnread(err) || idempotent[request.Method]
		return nil, nil, err, wasKept && !hasAnswered && isHarmless && !bridge.server.hasEnded()
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		_ = response.Body.Close() // else it is a stream that has no end
		return nil, nil, errSwitches, false
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, runtimeapi.MaxResponse+1))
	if err == nil && len(body) > runtimeapi.MaxResponse {
		err = errTooLarge
	}
	return response, body, err, false
}

// explain says what was behind an exchange that failed. The server's death is often the reason,
// and noticed a little later than the connection's end.
func (bridge *bridge) explain(request *http.Request, err error) *runtimeapi.Failure {
	if err == errTooLarge {
		return tooLarge("The server's answer has more than %d bytes", runtimeapi.MaxResponse)
	}
	server := bridge.server
	if server.endsSoon() {
		return runtimeapi.Failf(serverExited, "%s while it was to answer %s %s%s",
			server.howItEnded(), request.Method, targetOf(request), server.last.Suffix())
	}
	if isRefused(err) {
		return runtimeapi.Failf("Function.ServerNotListening", "%s does not listen at %s any more, though it is running",
			server.program.Name, bridge.settings.address())
	}
	return runtimeapi.Failf("Function.BadServerResponse", "%s %s is not answered as HTTP has it: %v",
		request.Method, targetOf(request), err)
}

func targetOf(request *http.Request) string { return request.URL.RequestURI() }
