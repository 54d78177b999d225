package program

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"
)

// Command prepares the program as a process that leads a group of its own, so that it can be
// killed with all it has started, and that does not outlive this one.
// It must be started from the main thread: the kernel takes the death of the thread that started
// a process for the death of its parent.
func (program *Program) Command() *exec.Cmd {
	command := exec.Command(program.Path, program.Arguments...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return command
}

// AwaitEnd waits until the process has ended, and leaves it in the process table: its number, and
// that of its group, cannot become somebody else's until Wait takes it away.
func AwaitEnd(process *os.Process) {
	const byPID = 1
	var information [128]byte // siginfo_t
	for {
		_, _, number := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(process.Pid),
			uintptr(unsafe.Pointer(&information)), syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if number != syscall.EINTR {
			return
		}
	}
}

// KillGroup ends the process and what it has started, as far as that has stayed in its group.
func KillGroup(process *os.Process) {
	_ = syscall.Kill(-process.Pid, syscall.SIGKILL)
}

var signalHints = map[syscall.Signal]string{
	syscall.SIGKILL: ", perhaps for want of memory",
}

// HowItEnded says in words how a process ended.
func HowItEnded(state *os.ProcessState) string {
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		number := status.Signal()
		return fmt.Sprintf("was killed by signal %d (%s%s)", int(number), number, signalHints[number])
	}
	return fmt.Sprintf("exited with status %d", state.ExitCode())
}

// WasKilled tells whether a signal ended the process.
func WasKilled(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}
