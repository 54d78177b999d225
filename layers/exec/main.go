// The exec layer: a Lambda runtime for which any executable file is a handler.
//
// README.md says how it is used. once.go runs a process for each invocation, lines.go keeps one.
package main

import (
	"os"

	"rie/layers/internal/launch"
	"rie/layers/internal/runtimeapi"
)

const invalidSetting = "Runtime.InvalidSetting"

func main() {
	start := launch.Begin()
	handler, failure := start.Program(os.Getenv("_HANDLER"))
	if failure != nil {
		start.FailInit(failure)
	}
	mode, failure := choice("RIE_EXEC_MODE", "once", "lines")
	if failure != nil {
		start.FailInit(failure)
	}
	output, failure := choice("RIE_EXEC_OUTPUT", "raw", "string")
	if failure != nil {
		start.FailInit(failure)
	}
	ready, failure := choice("RIE_EXEC_READY", "", "line")
	if failure != nil {
		start.FailInit(failure)
	}
	if mode == "once" {
		runner := &once{program: handler, wrap: output == "string"}
		launch.EndWith(runner.process.Load)
		start.Events(runner.handle)
	}
	keeper := &keeper{program: handler, waitsForReady: ready == "line"}
	launch.EndWith(keeper.process.Load)
	if failure := keeper.restart(); failure != nil {
		start.FailInit(failure)
	}
	start.Events(keeper.handle)
}

// choice reads a variable that has one of a few values; without it the first holds.
func choice(name string, values ...string) (string, *runtimeapi.Failure) {
	given := os.Getenv(name)
	if given == "" {
		return values[0], nil
	}
	for _, value := range values {
		if given == value {
			return value, nil
		}
	}
	return "", runtimeapi.Failf(invalidSetting, "%s is %q; it can be %q", name, given, values)
}
