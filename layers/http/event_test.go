package main

import (
	"strings"
	"testing"
)

func TestEachSendersEventsAreKnown(t *testing.T) {
	for text, want := range map[string]shape{
		`{"requestContext":{"http":{"method":"GET"}},"rawPath":"/"}`:            version2,
		`{"httpMethod":"GET","path":"/","requestContext":{"identity":{}}}`:      version1,
		`{"httpMethod":"GET","path":"/"}`:                                       version1,
		`{"httpMethod":"GET","path":"/","requestContext":{"elb":{}}}`:           loadBalancer,
		`{"httpMethod":"GET","path":"/","methodArn":"arn","requestContext":{}}`: other,
		`{"requestContext":{"connectionId":"x","routeKey":"$connect"}}`:         other,
		`{"httpMethod":5,"path":"/"}`:                                           other,
		`{"httpMethod":"GET","path":"/","requestContext":"none"}`:               other,
		`{"Records":[]}`: other, `[]`: other, `null`: other, `"text"`: other, `{`: other, ``: other,
	} {
		if got := parseEvent([]byte(text)).shape; got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}

func TestAPathIsWrittenAsItCame(t *testing.T) {
	for _, each := range []struct {
		path, encoded, decoded string // what becomes of it where it is the one or the other
	}{
		{"/a/b", "/a/b", "/a/b"},
		{"/a%20b%2Fc", "/a%20b%2Fc", "/a%2520b%252Fc"},
		{"/a b", "/a%20b", "/a%20b"},
		{"/100%", "/100%25", "/100%25"},
		{"/ž?#\"<>", "/%C5%BE%3F%23%22%3C%3E", "/%C5%BE%3F%23%22%3C%3E"},
		{"/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"},
		{"//a/../b", "//a/../b", "//a/../b"},
		{"/a\r\nb\x00", "/a%0D%0Ab%00", "/a%0D%0Ab%00"},
	} {
		if got := escapePath(each.path, false); got != each.encoded {
			t.Errorf("%q: got %s, want %s", each.path, got, each.encoded)
		}
		if got := escapePath(each.path, true); got != each.decoded {
			t.Errorf("%q, decoded: got %s, want %s", each.path, got, each.decoded)
		}
	}
}

func TestOnlyHTTPAPIsHandPathsOverDecoded(t *testing.T) {
	for text, want := range map[string]string{
		`{"rawPath":"/a%20b","requestContext":{"domainName":"x.lambda-url.eu-west-1.on.aws","http":{"method":"GET"}}}`: "/a%20b",
		`{"rawPath":"/a%20b","requestContext":{"domainName":"api.example.com","http":{"method":"GET"}}}`:               "/a%2520b",
		`{"version":"1.0","httpMethod":"GET","path":"/a%20b"}`:                                                         "/a%2520b",
		`{"httpMethod":"GET","path":"/a%20b"}`:                                                                         "/a%20b",
		`{"httpMethod":"GET","path":"/a%20b","requestContext":{"elb":{}}}`:                                             "/a%20b",
		`{"httpMethod":"GET","path":""}`:                                                                               "/",
	} {
		if got := parseEvent([]byte(text)).encodedPath(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestAQueryIsWrittenOnceEncoded(t *testing.T) {
	for text, want := range map[string]string{
		`{"httpMethod":"GET","path":"/"}`: "",
		`{"httpMethod":"GET","path":"/","queryStringParameters":{"b":"&=","a":"ž +","n":null}}`:                               "a=%C5%BE+%2B&b=%26%3D",
		`{"httpMethod":"GET","path":"/","queryStringParameters":{"a":"2"},"multiValueQueryStringParameters":{"a":["1","2"]}}`: "a=1&a=2",
		`{"httpMethod":"GET","path":"/","queryStringParameters":{"a%5B":"%C5%BE+"},"requestContext":{"elb":{}}}`:              "a%5B=%C5%BE+",
		`{"rawQueryString":"a=1&a=%20&b","requestContext":{"http":{"method":"GET"}}}`:                                         "a=1&a=%20&b",
		`{"rawQueryString":"a=b c\r\n\"ž#","requestContext":{"http":{"method":"GET"}}}`:                                       "a=b%20c%0D%0A%22%C5%BE%23",
	} {
		if got := parseEvent([]byte(text)).encodedQuery(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestABaseIsWholePartsOfThePath(t *testing.T) {
	for _, each := range [][3]string{
		{"/v1/a", "/v1", "/a"}, {"/v1", "/v1", "/"}, {"/v1/", "/v1", "/"},
		{"/v1x/a", "/v1", "/v1x/a"}, {"/a/v1", "/v1", "/a/v1"}, {"/v1/v1/a", "/v1", "/v1/a"},
		{"/a", "", "/a"},
	} {
		if got := withoutBase(each[0], each[1]); got != each[2] {
			t.Errorf("%s without %s: got %s, want %s", each[0], each[1], got, each[2])
		}
	}
}

func TestABodyThatIsNotTheBase64ThatItIsSaidToBeIsAnError(t *testing.T) {
	event := parseEvent([]byte(`{"httpMethod":"POST","path":"/","body":"%%","isBase64Encoded":true}`))
	if body, failure := event.body(); failure == nil {
		t.Errorf("got %q", body)
	}
}

func TestJSONInAHeaderIsOneLineOfASCII(t *testing.T) {
	got := asciiJSON([]byte("{\n \"ž\": \"漢 😀 \x7f\\n\"\n}"))

	want := `{"\u017e":"\u6f22 \ud83d\ude00 \u007f\n"}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := asciiJSON(nil); got != "null" {
		t.Errorf("got %s", got)
	}
}

func TestSettingsThatAreWrongAreNamed(t *testing.T) {
	for name, value := range map[string]string{
		"RIE_HTTP_PORT": "70000", "AWS_LWA_PORT": "x", "RIE_HTTP_READY_PATH": "health",
		"RIE_HTTP_READY_PROTOCOL": "udp", "RIE_HTTP_READY_TIMEOUT": "0", "RIE_HTTP_ERROR_STATUS": "5xx",
		"RIE_HTTP_INVOKE_MODE": "response_stream",
	} {
		_, failure := readSettings(func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		})
		if failure == nil || failure.Type != invalidSetting || !strings.HasPrefix(failure.Message, name+" ") {
			t.Errorf("%s=%s: got %v", name, value, failure)
		}
	}
}

func TestWithoutSettingsTheDefaultsHold(t *testing.T) {
	settings, failure := readSettings(func(string) string { return "" })

	if failure != nil || settings.address() != "127.0.0.1:8080" || settings.readyByTCP || settings.basePath != "" {
		t.Errorf("got %+v, %v", settings, failure)
	}
}
