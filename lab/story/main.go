// The leak of the story: cmd.Start() without cmd.Wait().
//
//	crawler COUNT INTERVAL_MS
//
// Prints "N ok" or "N EAGAIN" for every child. The first COUNT are never waited for (0: none
// is); after those it starts one every 100 ms and waits for it.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	interval, _ := strconv.Atoi(os.Args[2])
	leaked := 0
	for n := 1; ; n++ {
		cmd := exec.Command("/bin/true")
		err := cmd.Start()
		switch {
		case err == nil:
			fmt.Println(n, "ok")
		case errors.Is(err, syscall.EAGAIN):
			fmt.Println(n, "EAGAIN")
			// At the limit, trying as fast as possible would only burn the processor.
			time.Sleep(50 * time.Millisecond)
			continue
		default:
			fmt.Println(n, err)
			os.Exit(1)
		}
		if count == 0 || leaked < count {
			leaked++
			time.Sleep(time.Duration(interval) * time.Millisecond)
		} else {
			cmd.Wait()
			time.Sleep(100 * time.Millisecond)
		}
	}
}
