/* The program of a filter, put together: filter.h. */
#include "filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <stddef.h>
#include <unistd.h>

#ifdef FILTER_ARCH
static struct sock_filter filter[768];
static uint16_t length;

static uint16_t put(uint16_t code, uint32_t k)
{
	if (length < sizeof(filter) / sizeof(*filter))
		filter[length] = (struct sock_filter)BPF_STMT(code, k);
	return length++;
}

static void load(size_t offset)
{
	put(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* Where it goes is filled in later; 0: behind itself. */
static uint16_t jump_if(uint32_t value)
{
	return put(BPF_JMP | BPF_JEQ | BPF_K, value);
}

/* Half of a 64-bit argument; both machines that there is a filter for have the lower one first. */
static void load_half(const struct condition *c, int half)
{
	load(offsetof(struct seccomp_data, args) + (size_t)c->argument * 8 + (size_t)half * 4);
	if ((uint32_t)(c->mask >> (32 * half)) != UINT32_MAX)
		put(BPF_ALU | BPF_AND | BPF_K, (uint32_t)(c->mask >> (32 * half)));
}

/* Goes on behind itself where it holds; else to an end that is written into `misses`. */
static void require(const struct condition *c, uint16_t *misses, int *n)
{
	uint16_t met[FILTER_VALUES_MAX];

	for (int i = 0; i < c->n; i++) {
		uint16_t other;

		load_half(c, 0);
		other = jump_if((uint32_t)c->values[i]);
		if (c->mask >> 32) {
			load_half(c, 1);
			met[i] = jump_if((uint32_t)(c->values[i] >> 32));
		} else {
			met[i] = other;
		}
		filter[other].jf = (uint8_t)(length - other - 1);
	}
	misses[(*n)++] = put(BPF_JMP | BPF_JA, 0);
	for (int i = 0; i < c->n; i++)
		filter[met[i]].jt = (uint8_t)(length - met[i] - 1);
}

void filter_begin(void)
{
	length = 0;
	load(offsetof(struct seccomp_data, arch));
	filter[jump_if(FILTER_ARCH)].jt = 1;
	put(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	load(offsetof(struct seccomp_data, nr));
}

/* The number of the call is loaded, before it and behind it. */
void filter_allow(uint32_t call, const struct condition *conditions)
{
	uint16_t misses[6], is_other = jump_if(call);
	int n = 0;

	for (; conditions && conditions->mask; conditions++)
		require(conditions, misses, &n);
	put(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	for (int i = 0; i < n; i++)
		filter[misses[i]].k = length - misses[i] - 1u;
	if (n > 0)
		load(offsetof(struct seccomp_data, nr));
	/* of another call the number is still loaded */
	filter[is_other].jf = (uint8_t)(length - is_other - 1 - (n > 0));
}

void filter_refuse(uint32_t call, int error)
{
	filter[jump_if(call)].jf = 1;
	put(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error);
}

int filter_load(uint32_t flags)
{
	struct sock_fprog program = { .filter = filter };

	put(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	if (length > sizeof(filter) / sizeof(*filter))
		return E2BIG;
	program.len = length;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0 ? 0 : errno;
}
#else
void filter_begin(void)
{
}

void filter_allow(uint32_t call, const struct condition *conditions)
{
	(void)call;
	(void)conditions;
}

void filter_refuse(uint32_t call, int error)
{
	(void)call;
	(void)error;
}

int filter_load(uint32_t flags)
{
	(void)flags;
	return ENOSYS;
}
#endif
