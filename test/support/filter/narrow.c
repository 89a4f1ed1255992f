/*
 * A broker whose filter is for a few operations alone, those that PVX_TEST_OPERATIONS names: so it shows whether the
 * system calls that an operation says it needs are all that it needs. Linked with the broker's files but for channel.c.
 */
#define channel_calls channel_calls_of_all
#include "../../../native/broker/channel.c"
#undef channel_calls

uint32_t channel_calls(void)
{
	char names[256], *rest = names;
	uint32_t calls = 0;

	strncpy(names, getenv("PVX_TEST_OPERATIONS"), sizeof(names) - 1);
	names[sizeof(names) - 1] = 0;
	for (char *name; (name = strsep(&rest, ","));)
		for (size_t op = 0; op < sizeof(operations) / sizeof(*operations); op++)
			if (operations[op].name && strcmp(operations[op].name, name) == 0)
				calls |= operations[op].calls;
	return calls;
}
