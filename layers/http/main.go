// The http layer: a Lambda runtime for which any HTTP server is a function.
//
// README.md says how it is used. server.go runs the server, event.go makes requests of events,
// answer.go events' answers of the server's.
package main

import (
	"os"

	"rie/layers/internal/launch"
)

func main() {
	start := launch.Begin()
	settings, failure := readSettings(os.Getenv)
	if failure != nil {
		start.FailInit(failure)
	}
	handler, failure := start.Program(settings.command, os.Getenv("_HANDLER"))
	if failure != nil {
		start.FailInit(failure)
	}
	server := newServer(handler, settings)
	launch.EndWith(server.process.Load)
	if failure := server.start(); failure != nil {
		start.FailInit(failure)
	}
	bridge := &bridge{server: server, settings: settings, environ: os.Getenv}
	for {
		invocation, err := start.Client.Next()
		if err != nil {
			launch.Log("%v", err)
			os.Exit(1)
		}
		answer, failure := bridge.handle(invocation)
		if failure == nil {
			launch.Settle(start.Client.Respond(invocation, answer, "application/json"))
			continue
		}
		launch.Log("%v", failure)
		launch.Settle(start.Client.Fail(invocation, failure))
		if failure.Type == serverExited {
			os.Exit(1) // Lambda starts the environment anew, as after any crash
		}
	}
}
