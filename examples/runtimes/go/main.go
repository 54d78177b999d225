// Functions in Go, on AWS's own client of the Runtime API.
//
// A Go program is its own runtime: it is named bootstrap, and asks for events itself. It may hold
// several functions; _HANDLER names the one that is wanted.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

var handlers = map[string]any{
	"greet": greet,
	"echo":  echo,
	"count": count,
	"about": about,
}

func main() {
	log.SetFlags(0) // Lambda's log has times of its own
	handler, ok := handlers[os.Getenv("_HANDLER")]
	if !ok {
		failInit("Runtime.HandlerNotFound", errors.New("no function named "+strconv.Quote(os.Getenv("_HANDLER"))))
	}
	lambda.Start(handler)
}

type Person struct {
	Name string `json:"name"`
}

type Greeting struct {
	Greeting string `json:"greeting"`
}

// NoName is what the caller reads as errorType: the client takes the name of the error's type.
type NoName struct{}

func (NoName) Error() string { return `The event has no "name"` }

func greet(ctx context.Context, person Person) (Greeting, error) {
	if person.Name == "" {
		log.Print("nobody to greet")
		return Greeting{}, NoName{}
	}
	invocation, _ := lambdacontext.FromContext(ctx)
	log.Printf("greeting %s in %s", person.Name, invocation.AwsRequestID)
	return Greeting{"Hello, " + person.Name + "!"}, nil
}

// Answers with the event, however large.
func echo(event json.RawMessage) (json.RawMessage, error) {
	return event, nil
}

// What is kept between invocations: variables, for as long as the environment lives.
var calls int

func count() (map[string]int, error) {
	calls++
	return map[string]int{"calls": calls}, nil
}

// What a function knows about its invocation and about itself.
func about(ctx context.Context) (map[string]any, error) {
	invocation, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	var client any
	if len(invocation.ClientContext.Custom) > 0 {
		client = map[string]any{"custom": invocation.ClientContext.Custom}
	}
	return map[string]any{
		"requestId":     invocation.AwsRequestID,
		"arn":           invocation.InvokedFunctionArn,
		"traceId":       os.Getenv("_X_AMZN_TRACE_ID"),
		"remainingMs":   time.Until(deadline).Milliseconds(),
		"clientContext": client,
		"name":          lambdacontext.FunctionName,
		"version":       lambdacontext.FunctionVersion,
		"memoryMb":      lambdacontext.MemoryLimitInMB,
	}, nil
}

// failInit says why the function cannot start, and ends. The client has no call for it; without
// one the caller would only hear of an exit status.
func failInit(errorType string, problem error) {
	log.Printf("%s: %s", errorType, problem)
	body, _ := json.Marshal(map[string]any{
		"errorMessage": problem.Error(),
		"errorType":    errorType,
		"stackTrace":   []string{},
	})
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Lambda-Runtime-Function-Error-Type", errorType)
		client := http.Client{Transport: &http.Transport{}} // that is: without a proxy
		if response, err := client.Do(request); err == nil {
			response.Body.Close()
		}
	}
	os.Exit(1)
}
