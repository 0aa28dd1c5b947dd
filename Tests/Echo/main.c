// The floor of a UDP server, for `scripts/bench`: what the kernel alone charges for taking a query and
// sending an answer as long. It takes datagrams in batches, as Rhumb does, sets QR and sends them back.
//
// usage: Echo PORT [ADDRESS]        (127.0.0.1, or ::1; until it is killed)
#define _GNU_SOURCE 1

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 32, ROOM = 4096, BUFFER = 4 << 20 };

static unsigned char octets[BATCH][ROOM + 64];
static struct sockaddr_in6 peers[BATCH]; // room for either family
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static void fail(const char *call) {
    perror(call);
    exit(1);
}

int main(int count, char **arguments) {
    if (count != 2 && count != 3) {
        fprintf(stderr, "usage: Echo PORT [ADDRESS]\n");
        return 2;
    }
    const char *address = count == 3 ? arguments[2] : "127.0.0.1";
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    struct sockaddr_in6 here6 = {.sin6_family = AF_INET6, .sin6_port = here.sin_port};
    int is6 = strchr(address, ':') != NULL;
    if (inet_pton(is6 ? AF_INET6 : AF_INET, address,
                  is6 ? (void *)&here6.sin6_addr : (void *)&here.sin_addr) != 1) {
        fprintf(stderr, "Echo: %s is no address\n", address);
        return 2;
    }
    int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0), size = BUFFER;
    if (fd < 0) fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    struct sockaddr *bound = is6 ? (struct sockaddr *)&here6 : (struct sockaddr *)&here;
    if (bind(fd, bound, is6 ? sizeof here6 : sizeof here) < 0) fail("bind");
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_base = octets[i];
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &peers[i];
    }
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i].iov_len = ROOM;
            messages[i].msg_hdr.msg_namelen = sizeof peers[i];
        }
        int received = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < received; i++) {
            parts[i].iov_len = messages[i].msg_len;
            octets[i][2] |= 0x80;
        }
        for (int sent = 0; sent < received;) {
            int taken = sendmmsg(fd, messages + sent, received - sent, 0);
            sent += taken > 0 ? taken : 1; // what can't be sent is left out
        }
    }
}
