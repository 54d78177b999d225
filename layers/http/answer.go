package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"syscall"
	"unicode/utf8"

	"rie/layers/internal/runtimeapi"
)

const responseTooLarge = "Function.ResponseSizeTooLarge"

func tooLarge(format string, arguments ...any) *runtimeapi.Failure {
	message := fmt.Sprintf(format, arguments...)
	return runtimeapi.Failf(responseTooLarge,
		"Response payload size exceeded maximum allowed payload size (%d bytes). %s", runtimeapi.MaxResponse, message)
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// isUnread tells whether the server has closed a connection with some of the request still in it.
func isUnread(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// eventAnswer is what becomes of an event that was no request: the body as it is. A server that
// refuses it has failed, so that what comes from a queue is tried again and not lost.
func eventAnswer(request *http.Request, response *http.Response, body []byte) ([]byte, *runtimeapi.Failure) {
	if response.StatusCode >= http.StatusBadRequest {
		return nil, badStatus(request, response, body)
	}
	return body, nil
}

// badStatus is the failure of a status that stands for one. The server's own error document wins.
func badStatus(request *http.Request, response *http.Response, body []byte) *runtimeapi.Failure {
	if own := runtimeapi.AsFailure(body); own != nil {
		return own
	}
	const shown = 1000
	text := strings.ToValidUTF8(string(body), "\uFFFD")
	if len(text) > shown {
		text = strings.ToValidUTF8(text[:shown], "") + "..."
	}
	return runtimeapi.Failf("Function.HttpStatus", "%s %s is answered %d %s: %s",
		request.Method, targetOf(request), response.StatusCode, http.StatusText(response.StatusCode), text)
}

// httpAnswer puts the server's answer into the form that the event's sender takes.
func httpAnswer(event *event, response *http.Response, body []byte, binaryTypes []string) ([]byte, *runtimeapi.Failure) {
	fields := endToEnd(response.Header)
	isBinary := isBinary(response.Header, body, binaryTypes)
	answer := map[string]any{"statusCode": response.StatusCode, "isBase64Encoded": isBinary}
	if isBinary {
		answer["body"] = base64.StdEncoding.EncodeToString(body)
	} else {
		answer["body"] = string(body)
	}
	switch {
	case event.shape == version2:
		if cookies := fields["Set-Cookie"]; len(cookies) > 0 {
			answer["cookies"] = cookies
			delete(fields, "Set-Cookie")
		}
		answer["headers"] = joined(fields)
	case len(event.MultiHeaders) > 0:
		answer["multiValueHeaders"] = fields
	default:
		answer["headers"] = spread(fields)
	}
	if event.shape == loadBalancer {
		answer["statusDescription"] = strings.TrimSpace(
			fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)))
	}
	text := runtimeapi.MarshalJSON(answer)
	if len(text) > runtimeapi.MaxResponse {
		as := ""
		if isBinary {
			as = " as base64"
		}
		return nil, tooLarge("The server's answer has a body of %d bytes, and %d%s with its headers", len(body), len(text), as)
	}
	return text, nil
}

// endToEnd leaves out what concerns the connection to the server.
func endToEnd(header http.Header) map[string][]string {
	fields := map[string][]string{}
	for name, values := range header {
		if !hopByHop[name] {
			fields[name] = values
		}
	}
	for _, each := range strings.Split(strings.Join(header.Values("Connection"), ","), ",") {
		delete(fields, http.CanonicalHeaderKey(strings.TrimSpace(each)))
	}
	for _, values := range fields {
		for i := range values {
			values[i] = validText(values[i])
		}
	}
	return fields
}

// A field is bytes, and Latin-1 by tradition where it is not UTF-8; JSON is text.
func validText(value string) string {
	if utf8.ValidString(value) {
		return value
	}
	runes := make([]rune, 0, len(value))
	for i := 0; i < len(value); i++ {
		runes = append(runes, rune(value[i]))
	}
	return string(runes)
}

func joined(fields map[string][]string) map[string]string {
	single := map[string]string{}
	for name, values := range fields {
		single[name] = strings.Join(values, ", ")
	}
	return single
}

// spread is for those who take one value a name. Values can be joined by commas, but for cookies,
// whose dates have commas: their names differ in upper and lower case instead.
func spread(fields map[string][]string) map[string]string {
	single := joined(fields)
	cookies := fields["Set-Cookie"]
	delete(single, "Set-Cookie")
	for i, cookie := range cookies {
		single[casing("set-cookie", i)] = cookie
	}
	return single
}

// casing writes a name in the way that the number says, bit by bit.
func casing(name string, number int) string {
	written := []byte(name)
	for i := range written {
		if 'a' <= written[i] && written[i] <= 'z' {
			if number&1 == 1 {
				written[i] -= 'a' - 'A'
			}
			number >>= 1
		}
	}
	return string(written)
}

// isBinary tells whether a body has to go as base64: what is not UTF-8, what is compressed, and
// what does not call itself text.
func isBinary(header http.Header, body []byte, binaryTypes []string) bool {
	if len(body) == 0 {
		return false
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return true
	}
	mediaType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	for _, pattern := range binaryTypes {
		if matched, _ := path.Match(pattern, mediaType); matched || pattern == "*/*" {
			return true
		}
	}
	return !isText(mediaType) || !utf8.Valid(body)
}

var textTypes = map[string]bool{
	"": true, "application/json": true, "application/javascript": true, "application/x-javascript": true,
	"application/ecmascript": true, "application/xml": true, "application/xml-dtd": true,
	"application/yaml": true, "application/x-yaml": true, "application/toml": true,
	"application/graphql": true, "application/sql": true, "application/x-ndjson": true,
	"application/x-www-form-urlencoded": true, "application/x-sh": true, "application/jwt": true,
	"application/manifest+json": true, "application/rtf": true,
}

func isText(mediaType string) bool {
	return textTypes[mediaType] || strings.HasPrefix(mediaType, "text/") ||
		strings.HasSuffix(mediaType, "+json") || strings.HasSuffix(mediaType, "+xml") ||
		strings.HasSuffix(mediaType, "+yaml")
}
