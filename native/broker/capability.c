/*
 * Says which capabilities the broker lacks of those that it keeps (sandbox.c), as in a container that was not given
 * them. It starts all the same where it can: not every device needs all of them.
 */
#include "broker.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../privileges.h"

#define KEPT(name) { CAP_##name, #name },

static const struct {
	int number;
	const char *name;
} kept[] = { BROKER_CAPABILITY_NAMES(KEPT) };

void capabilities_say_missing(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[2] = { 0 };

	if (syscall(SYS_capget, &header, now) < 0)
		return;
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		int number = kept[i].number;

		if (!(now[CAP_TO_INDEX(number)].permitted & CAP_TO_MASK(number)))
			fprintf(stderr, "pvx-broker: the capability %s is missing: start it with all that "
					"docs/security.md lists, in a container with --cap-add %s.\n",
				kept[i].name, kept[i].name);
	}
}
