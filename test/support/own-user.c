/*
 * What own-user.c picks, and how it reads, without the machine's own users:
 *
 *   pick SHARE USERS GROUPS TAKEN   the number; SHARE: what random() yields, of 1000; ranges as FIRST-LAST,FIRST-LAST
 *   table|subordinate|inside|outside|owners FILE   the ranges of its lines
 *   own FIRST LAST                  two users of our own, the real thing; they are kept until the input ends
 */
#include "../../native/supervisor/own-user.c"
#include "../../native/supervisor/state.c"

static int share;

static uint32_t random_share(uint32_t limit)
{
	return (uint32_t)((uint64_t)limit * (uint32_t)share / 1000);
}

uint64_t now_ms(void)
{
	return 0;
}

static void parse(struct id_ranges *ranges, char *text)
{
	char *left;

	for (char *at = strtok_r(text, ",", &left); at; at = strtok_r(NULL, ",", &left)) {
		long first, last;

		if (sscanf(at, "%ld-%ld", &first, &last) == 2)
			add(ranges, first, last);
	}
}

int main(int argc, char **argv)
{
	struct known_ids known = { 0 };
	struct id_ranges ranges = { 0 };

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "pick") == 0) {
		share = atoi(argv[2]);
		parse(&known.users, argv[3]);
		parse(&known.groups, argv[4]);
		parse(&known.taken, argv[5]);
		printf("%lld\n", (long long)pick_id(&known, random_share));
		return 0;
	}
	if (strcmp(argv[1], "own") == 0) {
		for (int i = 0; i < 2; i++)
			printf("%lld\n", (long long)own_user((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3])));
		fflush(stdout);
		getchar();
		return 0;
	}
	add_file(&ranges, argv[2],
		 strcmp(argv[1], "table") == 0       ? add_table :
		 strcmp(argv[1], "subordinate") == 0 ? add_subordinate :
		 strcmp(argv[1], "inside") == 0      ? add_map_inside :
		 strcmp(argv[1], "outside") == 0     ? add_map_outside :
						       add_owners);
	for (size_t i = 0; i < ranges.n; i++)
		printf("%lld-%lld\n", (long long)ranges.at[i].first, (long long)ranges.at[i].last);
	return 0;
}
