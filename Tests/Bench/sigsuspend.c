// Preloaded into Rhumb under valgrind 3.19 by `callgrind.py`: that writes to the mask which a program gives to
// sigsuspend, and libdispatch's is in memory that can't be written to. This gives it a copy.
#define _GNU_SOURCE 1

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

int sigsuspend(const sigset_t *mask) {
    sigset_t copy = *mask;
    return (int)syscall(SYS_rt_sigsuspend, &copy, _NSIG / 8);
}
