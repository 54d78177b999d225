package main

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"sort"
	"strings"

	"rie/layers/internal/runtimeapi"
)

// A shape is whose event it is, and so what its answer looks like.
type shape int

const (
	// No HTTP request: of a queue, a bucket, a schedule, or anybody's own.
	other shape = iota
	// API Gateway REST API, or HTTP API with payload format 1.0:
	// docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
	version1
	// API Gateway HTTP API with payload format 2.0, and function URLs:
	// docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
	// docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
	version2
	// Application Load Balancer:
	// docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
	loadBalancer
)

// An event holds what the three shapes have.
type event struct {
	shape shape

	Version      string  `json:"version"` // of the payload format; a REST API's events have none
	HTTPMethod   *string `json:"httpMethod"`
	Path         *string `json:"path"`
	RawPath      string  `json:"rawPath"`
	RawQuery     string  `json:"rawQueryString"`
	MethodARN    string  `json:"methodArn"` // an authorizer's event, which looks like a request
	Cookies      []string
	Headers      map[string]*string
	MultiHeaders map[string][]string `json:"multiValueHeaders"`
	Query        map[string]*string  `json:"queryStringParameters"`
	MultiQuery   map[string][]string `json:"multiValueQueryStringParameters"`
	Body         *string
	IsBase64     bool            `json:"isBase64Encoded"`
	RawContext   json.RawMessage `json:"requestContext"`

	context requestContext
}

type requestContext struct {
	ELB *struct{} `json:"elb"`
	// Version 2.
	HTTP *struct {
		Method   string `json:"method"`
		SourceIP string `json:"sourceIp"`
	} `json:"http"`
	DomainName string `json:"domainName"`
	// Version 1.
	Identity struct {
		SourceIP string `json:"sourceIp"`
	} `json:"identity"`
}

// parseEvent tells what an event is. What is no HTTP request in one of the shapes is `other`,
// whatever it has.
func parseEvent(payload []byte) *event {
	parsed := &event{}
	if json.Unmarshal(payload, parsed) != nil {
		return &event{}
	}
	if len(parsed.RawContext) > 0 && json.Unmarshal(parsed.RawContext, &parsed.context) != nil {
		return &event{}
	}
	switch {
	case parsed.MethodARN != "":
	case parsed.context.HTTP != nil && parsed.context.HTTP.Method != "":
		parsed.shape = version2
	case parsed.HTTPMethod == nil || parsed.Path == nil:
	case parsed.context.ELB != nil:
		parsed.shape = loadBalancer
	default:
		parsed.shape = version1
	}
	return parsed
}

func (event *event) method() string {
	if event.shape == version2 {
		return event.context.HTTP.Method
	}
	return *event.HTTPMethod
}

func (event *event) sourceIP() string {
	if event.shape == version2 {
		return event.context.HTTP.SourceIP
	}
	return event.context.Identity.SourceIP
}

func (event *event) body() ([]byte, *runtimeapi.Failure) {
	if event.Body == nil {
		return nil, nil
	}
	if !event.IsBase64 {
		return []byte(*event.Body), nil
	}
	body, err := base64.StdEncoding.DecodeString(*event.Body)
	if err != nil {
		return nil, runtimeapi.Failf("Runtime.UnmarshalError", "the event's body is not the base64 that it is said to be: %v", err)
	}
	return body, nil
}

// --- the path and the query ---

// encodedPath is the path as the client has sent it.
//
// Only HTTP APIs hand it over decoded, in "path" and in "rawPath", against its name; REST APIs,
// function URLs and load balancers leave it as it came.
func (event *event) encodedPath() string {
	path := event.RawPath
	if event.shape != version2 {
		path = *event.Path
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return escapePath(path, event.isFromHTTPAPI())
}

func (event *event) isFromHTTPAPI() bool {
	switch event.shape {
	case version2:
		return !strings.Contains(event.context.DomainName, ".lambda-url.")
	case version1:
		return event.Version != ""
	default:
		return false
	}
}

// What may stand in a path beside letters and digits: RFC 3986, section 3.3, and the slash.
const pathCharacters = "-._~!$&'()*+,;=:@/"

// escapePath writes what cannot stand in a path as %XX. A %XX that is there already stays, unless
// the path is decoded: then it is text.
func escapePath(path string, isDecoded bool) string {
	const digits = "0123456789ABCDEF"
	var escaped strings.Builder
	for i := 0; i < len(path); i++ {
		char := path[i]
		isEscape := char == '%' && !isDecoded && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2])
		if isEscape || isAlphanumeric(char) || strings.IndexByte(pathCharacters, char) >= 0 {
			escaped.WriteByte(char)
		} else {
			escaped.WriteByte('%')
			escaped.WriteByte(digits[char>>4])
			escaped.WriteByte(digits[char&15])
		}
	}
	return escaped.String()
}

func isAlphanumeric(char byte) bool {
	return 'a' <= char && char <= 'z' || 'A' <= char && char <= 'Z' || '0' <= char && char <= '9'
}

func isHex(char byte) bool {
	return 'a' <= char && char <= 'f' || 'A' <= char && char <= 'F' || '0' <= char && char <= '9'
}

// withoutBase cuts a base path off, where it is one or more whole parts of the path.
func withoutBase(path, base string) string {
	rest := strings.TrimPrefix(path, base)
	switch {
	case base == "" || len(rest) == len(path):
		return path
	case rest == "":
		return "/"
	case rest[0] != '/':
		return path
	default:
		return rest
	}
}

// encodedQuery is the query as it stands in a URL, without the question mark.
//
// Version 2 has it as it came. API Gateway has decoded the parameters of version 1; load balancers
// have not ("If the query parameters are URL-encoded, the load balancer does not decode them").
// The order of different parameters is lost in both; that of one parameter's values is not.
func (event *event) encodedQuery() string {
	if event.shape == version2 {
		return escapeQuery(event.RawQuery)
	}
	escape := url.QueryEscape
	if event.shape == loadBalancer {
		escape = escapeQuery
	}
	parameters := event.MultiQuery
	if len(parameters) == 0 {
		parameters = singles(event.Query)
	}
	var pairs []string
	for _, name := range sortedNames(parameters) {
		for _, value := range parameters[name] {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	return strings.Join(pairs, "&")
}

// escapeQuery leaves alone what is encoded, and what a query may have; a stray blank or quote would
// end the request line.
func escapeQuery(query string) string {
	var escaped strings.Builder
	for i := 0; i < len(query); i++ {
		char := query[i]
		if char > ' ' && char < 0x7f && strings.IndexByte("\"<>#", char) < 0 {
			escaped.WriteByte(char)
		} else {
			escaped.WriteString(url.PathEscape(string([]byte{char})))
		}
	}
	return escaped.String()
}

func singles(values map[string]*string) map[string][]string {
	lists := make(map[string][]string, len(values))
	for name, value := range values {
		if value != nil {
			lists[name] = []string{*value}
		}
	}
	return lists
}

func sortedNames(values map[string][]string) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// --- headers ---

// fields are the header fields, those that were repeated one by one where the event has them so.
func (event *event) fields() map[string][]string {
	if event.shape != version2 && len(event.MultiHeaders) > 0 {
		return event.MultiHeaders
	}
	fields := singles(event.Headers)
	if event.shape == version2 && len(event.Cookies) > 0 {
		for name := range fields {
			if strings.EqualFold(name, "cookie") {
				delete(fields, name)
			}
		}
		fields["cookie"] = []string{strings.Join(event.Cookies, "; ")}
	}
	return fields
}
