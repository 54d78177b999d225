package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func put(t *testing.T, folder, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAProgramOfTheTaskRootComesBeforeOneOnPath(t *testing.T) {
	root, folder := t.TempDir(), t.TempDir()
	t.Setenv("PATH", folder)
	put(t, folder, "tool", "#!/bin/sh\n", 0o755)
	ours := put(t, root, "tool", "#!/bin/sh\n", 0o755)

	found, failure := Find("tool -x 'a b'", root)

	if failure != nil || found.Path != ours || strings.Join(found.Arguments, "|") != "-x|a b" {
		t.Errorf("got %+v, %v", found, failure)
	}
}

func TestAProgramIsFoundOnPathPastOneThatCannotBeRun(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	t.Setenv("PATH", first+":"+second)
	put(t, first, "tool", "#!/bin/sh\n", 0o644)
	usable := put(t, second, "tool", "#!/bin/sh\n", 0o755)

	found, failure := Find("tool", t.TempDir())

	if failure != nil || found.Path != usable {
		t.Errorf("got %+v, %v", found, failure)
	}
}

func TestAFileWithBlanksInItsNameIsOneWord(t *testing.T) {
	root := t.TempDir()
	path := put(t, root, "my tool", "#!/bin/sh\n", 0o755)

	found, failure := Find("my tool", root)

	if failure != nil || found.Path != path || len(found.Arguments) != 0 {
		t.Errorf("got %+v, %v", found, failure)
	}
}

func TestWhatCannotBeRunIsToldApart(t *testing.T) {
	root := t.TempDir()
	t.Setenv("PATH", "/usr/bin:/bin")
	for name, each := range map[string]struct {
		text string
		mode os.FileMode
		kind string
		part string
	}{
		"mode":        {"#!/bin/sh\n", 0o644, NotRunnable, "chmod +x"},
		"crlf":        {"#!/bin/sh\r\n", 0o755, NotRunnable, "CR LF"},
		"interpreter": {"#!/no/such/program -x\n", 0o755, NotRunnable, "/no/such/program, which is not here"},
		"env":         {"#!/usr/bin/env no-such-program\n", 0o755, NotRunnable, "no-such-program, which is not on PATH"},
		"nothing":     {"#!\n", 0o755, NotRunnable, "names no interpreter"},
		"empty":       {"", 0o755, NotRunnable, "is empty"},
		"text":        {"echo\n", 0o755, NotRunnable, "#!/bin/bash"},
		"damaged":     {"\x7fELF", 0o755, NotRunnable, "damaged"},
	} {
		path := put(t, root, name, each.text, each.mode)
		_, failure := Find(name, root)
		if os.Geteuid() == 0 && name == "mode" && failure == nil {
			t.Errorf("%s: root may run it only where somebody may", name)
		}
		if failure == nil || failure.Type != each.kind || !strings.Contains(failure.Message, each.part) ||
			!strings.Contains(failure.Message, path) {
			t.Errorf("%s: got %v", name, failure)
		}
	}
	if _, failure := Find("./.", root); failure == nil || failure.Type != NotRunnable {
		t.Errorf("a folder: got %v", failure)
	}
	if _, failure := Find(" ", root); failure == nil || failure.Type != Malformed {
		t.Errorf("nothing: got %v", failure)
	}
	if _, failure := Find("/no/such/file", root); failure == nil || failure.Type != NotFound {
		t.Errorf("no file: got %v", failure)
	}
}

func TestAProgramWithoutItsLoaderIsToldWhatItLacks(t *testing.T) {
	data, err := os.ReadFile("/bin/true")
	if err != nil || !strings.Contains(string(data), "/ld-linux") {
		t.Skip("there is no dynamic /bin/true here")
	}
	root := t.TempDir()
	path := put(t, root, "program", strings.Replace(string(data), "/ld-linux", "/no-linux", 1), 0o755)

	_, failure := Find("program", root)

	if failure == nil || failure.Type != NotRunnable || !strings.HasPrefix(failure.Message, path+" needs /lib") ||
		!strings.Contains(failure.Message, "/no-linux") {
		t.Errorf("got %v", failure)
	}
}
