// A Go program that waits for its commands as it should, while what they leave behind comes to
// it as PID 1.
package main

import (
	"os/exec"
	"time"
)

func main() {
	for i := 0; i < 5; i++ {
		_ = exec.Command("setsid", "sh", "-c", "sleep 0.2 &").Run()
	}
	for {
		time.Sleep(time.Hour)
	}
}
