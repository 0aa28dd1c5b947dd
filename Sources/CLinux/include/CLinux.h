// What Swift's view of glibc lacks: datagram batches, the address a datagram was sent to, names of
// threads, programs in groups of their own. The definitions need _GNU_SOURCE, which changes types that Swift's Glibc module also
// declares; so they stay in CLinux.c, and this header may be imported beside Glibc.
// Calls return a negative errno instead of setting errno. No type of this header leaves the target
// that imports it.
#ifndef CLINUX_H
#define CLINUX_H

#include <sys/socket.h>

/// The kernel's `struct mmsghdr`: a message header, and the octets received or sent with it.
struct cln_message {
    struct msghdr header;
    unsigned length;
};

/// Receives at most `count` datagrams and returns how many; with `waits`, waits for the first one
/// as long as the socket's receive timeout says.
int cln_receive(int fd, struct cln_message *messages, unsigned count, _Bool waits);

/// Sends the messages in order and returns how many the kernel took before the first that failed.
int cln_send(int fd, struct cln_message *messages, unsigned count);

/// Connects to a port of the address that these 4 or 16 octets are.
int cln_connect(int fd, const unsigned char *address, unsigned length, unsigned short port);

/// Accepts a connection, not to block and not to be inherited, without waiting where the listener
/// doesn't; returns its descriptor.
int cln_accept(int fd, struct sockaddr_storage *peer);

/// Makes an epoll instance and returns its descriptor.
int cln_poll_create(void);

/// Waits for a descriptor to be readable (or to be at its end), and tells of it by `tag`.
int cln_poll_add(int poll, int fd, unsigned long long tag);

/// Waits for it to take octets, or to be readable again.
void cln_poll_change(int poll, int fd, unsigned long long tag, _Bool writes);

void cln_poll_remove(int poll, int fd);

enum { CLN_POLL_LIMIT = 64 };

/// Waits for events and returns how many there are, at most `CLN_POLL_LIMIT`, with their tags.
int cln_poll_wait(int poll, unsigned long long *tags, unsigned count, int milliseconds);

/// Octets of the one control message that a UDP socket is asked for, of either family.
extern const unsigned long cln_control_room;

/// Makes `reply` leave from the address that `received` was sent to, using its control room.
///
/// The interface is left to routing, as the way back may be another one; only link-local
/// addresses mean nothing without it. Without packet information the kernel chooses.
void cln_reply_from_asked_address(struct msghdr *received, struct msghdr *reply);

/// Names the calling thread (the first 15 octets count) and leaves signals to the other threads,
/// except those that a fault of its own raises.
void cln_begin_thread(const char *name);

/// From here on the calling thread, and each that it makes, has next to nothing of a core that others want, and whoever
/// wakes up has the core at once (SCHED_IDLE, sched(7)). Without privileges there is no way back.
/// Returns 0, or a negative errno where the system refuses, which filters of system calls make it do.
int cln_use_spare_time(void);

/// Gives freed memory back to the system.
void cln_trim_memory(void);

/// Starts the program `path` in a process group of its own: in "/", with
/// `input_count` octets on its standard input, default signals, no descriptor of ours, and its output
/// (and errors) going to a pipe whose other end comes back in `output`. Returns its number.
int cln_spawn(const char *path, char *const *arguments, char *const *environment, const void *input,
              unsigned long input_count, int *output);

/// What `cln_reap` returns for a process that has not ended.
enum { CLN_RUNNING = -1 };

/// If a process of ours has ended, kills what is left of its group and returns its exit status, or
/// 256 and the signal that killed it; less than CLN_RUNNING if it is none of ours.
int cln_reap(int process);

#endif
