// Package program finds the program that a handler names, and says why one cannot be run.
//
// A failed exec tells little: that a file is not there can mean that its interpreter is not, or
// that its first line ends in CR LF. So the file is looked at before it is first run.
package program

import (
	"bytes"
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"rie/layers/internal/runtimeapi"
)

// The types of the failures that are found here.
const (
	Malformed    = "Runtime.MalformedHandlerName"
	NotFound     = "Runtime.HandlerNotFound"
	NotRunnable  = "Runtime.HandlerNotExecutable"
	WrongMachine = "Runtime.HandlerArchitecture"
)

// A Program is a file to execute and its arguments. Name is what messages call it.
type Program struct {
	Name      string
	Path      string
	Arguments []string
}

// Find looks a command line up: as one file's name if there is one that is named so, else its first
// word, the others being arguments.
func Find(line, taskRoot string) (*Program, *runtimeapi.Failure) {
	line = strings.TrimSpace(line)
	if line == "" {
		return nil, runtimeapi.Failf(Malformed, "there is no handler: set it to the program to run")
	}
	if isFile(within(taskRoot, line)) {
		return FindWords([]string{line}, taskRoot)
	}
	words, err := Words(line)
	if err != nil {
		return nil, runtimeapi.Failf(Malformed, "bad handler: %v", err)
	}
	return FindWords(words, taskRoot)
}

// FindWords looks a command up that is split already: in the task root, then on PATH.
func FindWords(words []string, taskRoot string) (*Program, *runtimeapi.Failure) {
	name := words[0]
	path := within(taskRoot, name)
	if _, err := os.Stat(path); err != nil && !strings.Contains(name, "/") {
		found := onPath(name)
		if found == "" {
			return nil, runtimeapi.Failf(NotFound,
				"no file %s, and no program %s on PATH (%s): put it into the package, or correct the handler",
				path, name, os.Getenv("PATH"))
		}
		path = found
	}
	if failure := check(path); failure != nil {
		return nil, failure
	}
	return &Program{Name: name, Path: path, Arguments: words[1:]}, nil
}

func within(taskRoot, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(taskRoot, name)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// exec.LookPath passes over what is not executable; such a file is worth a word.
func onPath(name string) string {
	unusable := ""
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(folder, name)
		if folder == "" || !isFile(path) {
			continue
		}
		if isExecutable(path) {
			return path
		}
		if unusable == "" {
			unusable = path
		}
	}
	return unusable
}

func isExecutable(path string) bool {
	const executeOK = 1
	return syscall.Access(path, executeOK) == nil
}

func check(path string) *runtimeapi.Failure {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return runtimeapi.Failf(NotFound, "no file %s: put it into the package, or correct the handler", path)
	case err != nil:
		return runtimeapi.Failf(NotFound, "%v", err)
	case info.IsDir():
		return runtimeapi.Failf(NotRunnable, "%s is a folder: name a program in it", path)
	case !isExecutable(path):
		return runtimeapi.Failf(NotRunnable, "%s is not executable: chmod +x it before it is packed", path)
	}
	return checkContents(path)
}

func checkContents(path string) *runtimeapi.Failure {
	file, err := os.Open(path)
	if err != nil {
		return nil // it may be executed, though not be read
	}
	defer file.Close()
	head := make([]byte, 512)
	length, _ := file.ReadAt(head, 0)
	head = head[:length]
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return checkELF(path, file)
	case bytes.HasPrefix(head, []byte("#!")):
		return checkShebang(path, head[2:])
	case len(head) == 0:
		return runtimeapi.Failf(NotRunnable, "%s is empty", path)
	default:
		return runtimeapi.Failf(NotRunnable,
			"%s is neither a Linux program nor a script: a script begins with a line such as #!/bin/bash", path)
	}
}

var machines = map[elf.Machine]string{elf.EM_X86_64: "x86_64", elf.EM_AARCH64: "arm64"}
var ownMachine = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

func checkELF(path string, file *os.File) *runtimeapi.Failure {
	parsed, err := elf.NewFile(file)
	if err != nil {
		return runtimeapi.Failf(NotRunnable, "%s is a damaged program: %v", path, err)
	}
	own := ownMachine[runtime.GOARCH]
	if parsed.Machine != own {
		is := machines[parsed.Machine]
		if is == "" {
			is = parsed.Machine.String()
		}
		return runtimeapi.Failf(WrongMachine, "%s is built for %s, and this function runs on %s: build it for %s",
			path, is, machines[own], machines[own])
	}
	for _, segment := range parsed.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		loader := make([]byte, segment.Filesz)
		if _, err := segment.ReadAt(loader, 0); err != nil {
			return nil
		}
		name := string(bytes.TrimRight(loader, "\x00"))
		if !isFile(name) {
			return runtimeapi.Failf(NotRunnable,
				"%s needs %s, which is not here: link it statically, or build it for this system", path, name)
		}
	}
	return nil
}

func checkShebang(path string, rest []byte) *runtimeapi.Failure {
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if bytes.HasSuffix(line, []byte("\r")) {
		return runtimeapi.Failf(NotRunnable,
			`%s has Windows line ends (CR LF): convert it with sed -i 's/\r$//' %s`, path, path)
	}
	words := strings.Fields(string(line))
	if len(words) == 0 {
		return runtimeapi.Failf(NotRunnable, "%s names no interpreter after #!", path)
	}
	if !isFile(words[0]) {
		return runtimeapi.Failf(NotRunnable, "%s is to be run by %s, which is not here: install it, or correct the first line", path, words[0])
	}
	if filepath.Base(words[0]) == "env" && len(words) == 2 && onPath(words[1]) == "" {
		return runtimeapi.Failf(NotRunnable, "%s is to be run by %s, which is not on PATH (%s)", path, words[1], os.Getenv("PATH"))
	}
	return nil
}
