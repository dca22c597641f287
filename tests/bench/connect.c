/*
 * connect NETNS DEVICE: what `urunc start` says to the kernel to connect a guest in a network namespace, and nothing else:
 * the same netlink messages and ioctls in the same order, from memory that is there already. One set-up for each line of
 * standard input; its nanoseconds are one line of standard output. In between everything is undone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TAP "tap0_urunc"
#define INGRESS_HANDLE 0xffff0000u
#define PREFERENCE 0x7572u
#define ETH_P_ALL_NET 0x0300u

static int home, netns, sock;
static uint32_t sequence;

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

/* A request under construction. */
static struct {
	struct nlmsghdr header;
	char rest[1024];
} request;

static void *append(const void *bytes, size_t length)
{
	char *place = (char *)&request + NLMSG_ALIGN(request.header.nlmsg_len);

	memset(place, 0, NLMSG_ALIGN(length));
	if (bytes)
		memcpy(place, bytes, length);
	request.header.nlmsg_len = NLMSG_ALIGN(request.header.nlmsg_len) + NLMSG_ALIGN(length);
	return place;
}

static void begin(uint16_t type, uint16_t flags, const void *body, size_t length)
{
	request.header = (struct nlmsghdr){
		.nlmsg_len = sizeof(request.header),
		.nlmsg_type = type,
		.nlmsg_flags = flags | NLM_F_REQUEST | NLM_F_ACK,
		.nlmsg_seq = ++sequence,
	};
	append(body, length);
}

static struct rtattr *attribute(uint16_t type, const void *bytes, size_t length)
{
	struct rtattr *attr = append(NULL, RTA_LENGTH(length));

	attr->rta_type = type;
	attr->rta_len = RTA_LENGTH(length);
	if (bytes)
		memcpy(RTA_DATA(attr), bytes, length);
	return attr;
}

static void end(struct rtattr *nest)
{
	nest->rta_len = (char *)&request + request.header.nlmsg_len - (char *)nest;
}

/* Sends the request and reads its answer to the end; the index of the last device in it. */
static int call(const char *what)
{
	static char answer[32 << 10];
	int index = 0;

	must(send(sock, &request, request.header.nlmsg_len, 0) >= 0, what);
	for (;;) {
		int length = recv(sock, answer, sizeof(answer), MSG_DONTWAIT | MSG_TRUNC);

		must(length >= 0, what);
		for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, (unsigned int)length);
		     h = NLMSG_NEXT(h, length)) {
			if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
				errno = -*(int *)NLMSG_DATA(h);
				must(errno == 0, what);
				return index;
			}
			if (h->nlmsg_type == RTM_NEWLINK)
				index = ((struct ifinfomsg *)NLMSG_DATA(h))->ifi_index;
		}
	}
}

static void enter(int namespace)
{
	must(setns(namespace, CLONE_NEWNET) == 0, "setns");
}

/* A socket of the namespace, connected to the kernel. */
static int open_socket(void)
{
	static const int options[] = { NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int on = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	must(fd >= 0, "socket");
	must(connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)) == 0, "connect");
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		setsockopt(fd, SOL_NETLINK, options[i], &on, sizeof(on));
	return fd;
}

static void dump_qdiscs(void)
{
	struct tcmsg all = { 0 };

	begin(RTM_GETQDISC, NLM_F_DUMP, &all, sizeof(all));
	call("list qdiscs");
}

/* What the namespace holds. */
static void facts(void)
{
	struct ifinfomsg links = { 0 };
	struct ifaddrmsg addresses = { 0 };
	struct rtmsg routes = { .rtm_family = AF_INET };
	struct ndmsg neighbours = { 0 };

	enter(netns);
	sock = open_socket();
	enter(home);
	dump_qdiscs();
	begin(RTM_GETLINK, NLM_F_DUMP, &links, sizeof(links));
	call("list devices");
	begin(RTM_GETADDR, NLM_F_DUMP, &addresses, sizeof(addresses));
	call("list addresses");
	begin(RTM_GETROUTE, NLM_F_DUMP, &routes, sizeof(routes));
	call("list routes");
	routes.rtm_family = AF_INET6;
	begin(RTM_GETROUTE, NLM_F_DUMP, &routes, sizeof(routes));
	call("list routes");
	begin(RTM_GETNEIGH, NLM_F_DUMP, &neighbours, sizeof(neighbours));
	call("list neighbours");
	close(sock);
}

static int open_tap(void)
{
	struct ifreq name = { .ifr_name = TAP };
	int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	must(tap >= 0, "/dev/net/tun");
	name.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL;
	must(ioctl(tap, TUNSETIFF, &name) == 0, "TUNSETIFF");
	must(ioctl(tap, TUNSETOWNER, 65534UL) == 0, "TUNSETOWNER");
	must(ioctl(tap, TUNSETGROUP, 65534UL) == 0, "TUNSETGROUP");
	must(ioctl(tap, TUNSETOFFLOAD, 0UL) == 0, "TUNSETOFFLOAD");
	return tap;
}

/* MTU and alias, no address of the kernel's, up; the tap's index. */
static int configure_tap(void)
{
	struct ifinfomsg link = { 0 };
	struct rtattr *families, *inet6;
	uint32_t mtu = 1500;
	uint8_t none = IN6_ADDR_GEN_MODE_NONE;
	static const char alias[] = "urunc:bench:1:1";

	begin(RTM_GETLINK, 0, &link, sizeof(link));
	attribute(IFLA_IFNAME, TAP, sizeof(TAP));
	link.ifi_index = call("find tap");
	begin(RTM_NEWLINK, 0, &link, sizeof(link));
	attribute(IFLA_MTU, &mtu, sizeof(mtu));
	attribute(IFLA_IFALIAS, alias, sizeof(alias) - 1);
	call("mtu and alias");
	begin(RTM_NEWLINK, 0, &link, sizeof(link));
	families = attribute(IFLA_AF_SPEC, NULL, 0);
	inet6 = attribute(AF_INET6, NULL, 0);
	attribute(IFLA_INET6_ADDR_GEN_MODE, &none, sizeof(none));
	end(inet6);
	end(families);
	call("address generation");
	link.ifi_flags = link.ifi_change = IFF_UP;
	begin(RTM_NEWLINK, 0, &link, sizeof(link));
	call("up");
	return link.ifi_index;
}

static void redirect(int from, int to)
{
	struct tcmsg qdisc = { .tcm_ifindex = from, .tcm_handle = INGRESS_HANDLE, .tcm_parent = TC_H_INGRESS };
	struct tcmsg filter = {
		.tcm_ifindex = from,
		.tcm_parent = INGRESS_HANDLE,
		.tcm_info = PREFERENCE << 16 | ETH_P_ALL_NET,
	};
	struct { struct tc_u32_sel head; struct tc_u32_key key; } all = {
		.head = { .flags = TC_U32_TERMINAL, .nkeys = 1 },
	};
	struct tc_mirred out = { .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = to };
	struct rtattr *options, *actions, *first, *mirred;

	begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &qdisc, sizeof(qdisc));
	attribute(TCA_KIND, "ingress", sizeof("ingress"));
	call("ingress qdisc");
	begin(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &filter, sizeof(filter));
	attribute(TCA_KIND, "u32", sizeof("u32"));
	options = attribute(TCA_OPTIONS, NULL, 0);
	attribute(TCA_U32_SEL, &all, sizeof(all));
	actions = attribute(TCA_U32_ACT, NULL, 0);
	first = attribute(1, NULL, 0);
	attribute(TCA_ACT_KIND, "mirred", sizeof("mirred"));
	attribute(TCA_ACT_COOKIE, "urunc v1 bench..", 16);
	mirred = attribute(TCA_ACT_OPTIONS, NULL, 0);
	attribute(TCA_MIRRED_PARMS, &out, sizeof(out));
	end(mirred);
	end(first);
	end(actions);
	end(options);
	call("redirect");
}

/* Makes the connection; the tap. */
static int connect_guest(int device)
{
	struct ifinfomsg link = { .ifi_index = device };
	int tap, index;

	enter(netns);
	sock = open_socket();
	tap = open_tap();
	enter(home);
	begin(RTM_GETLINK, 0, &link, sizeof(link));
	call("find device");
	dump_qdiscs();
	index = configure_tap();
	redirect(index, device);
	redirect(device, index);
	return tap;
}

static void disconnect(int tap, int device)
{
	struct tcmsg qdisc = { .tcm_ifindex = device, .tcm_handle = INGRESS_HANDLE, .tcm_parent = TC_H_INGRESS };

	begin(RTM_DELQDISC, 0, &qdisc, sizeof(qdisc));
	call("remove redirect");
	close(sock);
	close(tap);
}

int main(int argc, char **argv)
{
	char line[16];
	int device;

	if (argc != 3) {
		fprintf(stderr, "usage: connect NETNS INDEX\n");
		return 2;
	}
	netns = open(argv[1], O_RDONLY | O_CLOEXEC);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	must(netns >= 0 && home >= 0, "namespaces");
	device = atoi(argv[2]);
	while (fgets(line, sizeof(line), stdin)) {
		struct timespec before, after;
		int tap;

		clock_gettime(CLOCK_MONOTONIC, &before);
		facts();
		tap = connect_guest(device);
		clock_gettime(CLOCK_MONOTONIC, &after);
		disconnect(tap, device);
		printf("%lld\n", (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
