/*
 * fuzz_client.c - what a server says to a hook, a check or a wait: HTTP, and TLS up to the data in
 * it.
 *
 * The whole of target_probe() runs, with the input as the server at the other end of a socket pair.
 * Its random numbers are always the same ones, so that a recorded TLS server's half of a dialogue
 * fits once more. The first byte: bit 0 TLS, bit 1 the server resets at its end, bit 2 a CA is
 * asked for.
 */
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../http.h"
#include "../target.h"
#include "fuzz.h"

enum { SEED = 0x5a };

static int server_fd = -1;
static unsigned connections;

static ssize_t same_numbers(void *buf, size_t length)
{
	memset(buf, SEED, length);
	return (ssize_t)length;
}

#define getrandom(buf, length, flags) same_numbers(buf, length)
#include "../tls.c"
#undef getrandom
#undef NAME_SIZE

struct net_addresses;
struct net_address;
static int give_server(void);

#define fail                                     probe_fail
#define net_connect(addresses, deadline)         give_server()
#define net_connect_one(address, type, deadline) ((void)(type), give_server())
#define getpeername(fd, address, size)           (0)
#include "../probe.c"

static const uint8_t *answer;
static size_t answer_length;

static int give_server(void)
{
	int ends[2];

	connections++;
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	require(send(ends[1], answer, answer_length, MSG_NOSIGNAL) == (ssize_t)answer_length);
	require(shutdown(ends[1], SHUT_WR) == 0);
	if (server_fd >= 0)
		close(server_fd);
	server_fd = ends[1];
	return ends[0];
}

/* What HTTP says to these bytes; the probe must say the same. */
static bool is_success(void)
{
	struct http_answer a = {.state = 0};

	return http_answer_feed(&a, (const char *)answer, answer_length) == HTTP_STATUS &&
	       http_is_success(a.status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct probe_options options = {.timeout_ns = 2 * NS_PER_S};
	char reason[TARGET_REASON_SIZE] = "";
	struct target target;
	int result;

	if (size == 0 || size > 60000)
		return 0;
	answer = data + 1;
	answer_length = size - 1;
	connections = 0;
	require(target_parse(data[0] & 1 ? "https://127.0.0.1:1/x" : "http://127.0.0.1:1/x",
			&target, reason, sizeof reason) == 0);
	result = target_probe(&target, &options, reason, sizeof reason);
	require(result == 0 || result == -1);
	require((result == 0) == (reason[0] == '\0'));
	require(strlen(reason) < sizeof reason);
	for (const char *c = reason; *c != '\0'; c++)
		require((unsigned char)*c >= ' ' && (unsigned char)*c < 0x7f);
	require(strncmp(reason, "timed out", 9) !=
		0); /* the server has closed: nothing to wait for */
	require(connections <= 2);
	if (!(data[0] & 1))
		require((result == 0) == is_success());
	close(server_fd);
	server_fd = -1;
	return 0;
}
