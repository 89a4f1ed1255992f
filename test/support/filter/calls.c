/*
 * Makes system calls under the broker's own filter, or (with `off`) without, and prints what came of each: its name
 * and an errno, 0 for success. Linked with the broker's files but for its main. Arguments are such that nothing happens
 * where the filter is not there, and that the errno then is another than EPERM.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../../../native/broker/broker.h"
#include "try.h"

#define NEW (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW)
#define NODE_FLAGS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

static void processes(void)
{
	TRY("clone", SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0);
	TRY("clone3", SYS_clone3, NULL, 0);
	TRY("execve", SYS_execve, "/nonexistent", NULL, NULL);
	TRY("execveat", SYS_execveat, -1, "nonexistent", NULL, NULL, 0);
	TRY("kill another", SYS_kill, NOBODY, 0);
	TRY("tgkill another", SYS_tgkill, NOBODY, NOBODY, 0);
	TRY("pidfd_send_signal", SYS_pidfd_send_signal, -1, 0, NULL, 0);
	TRY("ptrace", SYS_ptrace, 16, NOBODY, 0, 0);
	TRY("process_vm_writev", SYS_process_vm_writev, NOBODY, NULL, 0, NULL, 0, 0);
	TRY("prctl", SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
	TRY("own a descriptor's signals", SYS_fcntl, 0, F_SETOWN, getpid());
	TRY("tgkill itself", SYS_tgkill, getpid(), getpid(), 0);
}

static void memory(void)
{
	static char page[8192] __attribute__((aligned(4096)));

	TRY("mmap to execute", SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TRY("mmap", SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TRY("mprotect to execute", SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
	TRY("mprotect", SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE);
	TRY("mremap", SYS_mremap, page, 4096, 4096, 0, 0);
	TRY("munmap", SYS_munmap, NULL, 0);
	TRY("memfd_create", SYS_memfd_create, "x", 0);
}

static void files(int file)
{
	static const struct open_how writing = { .flags = O_RDWR | O_CLOEXEC };

	TRY("write", SYS_write, file, "x", 1);
	TRY("pwrite64", SYS_pwrite64, file, "x", 1, 0);
	TRY("writev", SYS_writev, file, NULL, 0);
	TRY("sendfile", SYS_sendfile, file, file, NULL, 0);
	TRY("copy_file_range", SYS_copy_file_range, -1, NULL, -1, NULL, 1, 0);
	TRY("splice", SYS_splice, -1, NULL, -1, NULL, 1, 0);
	TRY("ftruncate", SYS_ftruncate, file, 0);
	TRY("fallocate", SYS_fallocate, file, 0, 0, 1);
	TRY("fchmod", SYS_fchmod, file, 0600);
	TRY("fchown", SYS_fchown, file, 0, 0);
	TRY("dup3", SYS_dup3, file, file + 50, 0);
	TRY("openat to cut", SYS_openat, AT_FDCWD, "/nonexistent/x", O_WRONLY | O_TRUNC);
	TRY("openat2 of other ways", SYS_openat2, AT_FDCWD, "/dev/null", &writing, sizeof(writing));
	TRY("linkat", SYS_linkat, -1, "x", -1, "y", 0);
	TRY("symlinkat", SYS_symlinkat, "x", -1, "y");
	TRY("setxattr", SYS_setxattr, "/nonexistent", "user.x", "", 0, 0);
	TRY("io_uring_setup", SYS_io_uring_setup, 0, NULL);
	TRY("openat to read", SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
	TRY("openat2 within a root", SYS_openat2, AT_FDCWD, "dev", &path_inside, sizeof(path_inside));
}

static void devices(int folder)
{
	TRY("mknodat of a block device", SYS_mknodat, -1, "x", S_IFBLK | 0600, makedev(226, 0));
	TRY("mknodat of memory", SYS_mknodat, -1, "x", S_IFCHR | 0600, makedev(1, 1));
	TRY("mknodat of a FIFO", SYS_mknodat, -1, "x", S_IFIFO | 0600, 0);
	TRY("ioctl of a terminal", SYS_ioctl, -1, 0x5412, NULL);
	TRY("mknodat of DRM", SYS_mknodat, folder, "", S_IFCHR | 0600, makedev(226, 0));
	TRY("mknodat of input", SYS_mknodat, folder, "", S_IFCHR | 0600, makedev(13, 64));
}

static void mounts(void)
{
	char tmpfs[] = "tmpfs", node[] = "node";

	TRY("mount", SYS_mount, NULL, NULL, NULL, 0, NULL);
	TRY("umount2 without detaching", SYS_umount2, "/nonexistent", 0);
	TRY("pivot_root", SYS_pivot_root, "/nonexistent", "/nonexistent");
	TRY("fsopen of another type", SYS_fsopen, "nonesuch", 0);
	TRY("fsopen by another string", SYS_fsopen, tmpfs, 2);
	TRY("fsconfig with an option", SYS_fsconfig, -1, FSCONFIG_SET_STRING, "source", "x", 0);
	TRY("fspick", SYS_fspick, -1, "", 2);
	TRY("open_tree of a path", SYS_open_tree, AT_FDCWD, "/nonexistent", NEW);
	TRY("open_tree by another string", SYS_open_tree, -1, node, NEW);
	TRY("open_tree with all below", SYS_open_tree, -1, fixed_node, NEW | 0x8000);
	TRY("move_mount of a path", SYS_move_mount, AT_FDCWD, "/nonexistent", AT_FDCWD, "/nonexistent", 4);
	TRY("mount_setattr", SYS_mount_setattr, -1, "", 0, NULL, 0);
	TRY("chroot", SYS_chroot, "/nonexistent");
	TRY("setns of users", SYS_setns, -1, CLONE_NEWUSER);
	TRY("unshare", SYS_unshare, CLONE_NEWUSER | CLONE_NEWPID | 0x1);
	TRY("open_tree of the node", SYS_open_tree, -1, fixed_node, NEW);
	TRY("fsmount of its own", SYS_fsmount, -1, 1, NODE_FLAGS);
	TRY("setns of a network", SYS_setns, -1, CLONE_NEWNET);
}

static void sockets_and_kernel(void)
{
	TRY("socket of packets", SYS_socket, AF_PACKET, SOCK_STREAM, 0);
	TRY("socket of UDP", SYS_socket, AF_INET, SOCK_DGRAM, 0);
	TRY("socket of routes", SYS_socket, AF_NETLINK, SOCK_RAW, 0);
	TRY("socket of a virtual machine", SYS_socket, 40, SOCK_STREAM, 0);
	TRY("bpf", SYS_bpf, -1, NULL, 0);
	TRY("init_module", SYS_init_module, NULL, 0, NULL);
	TRY("reboot", SYS_reboot, 0, 0, 0, NULL);
	TRY("keyctl", SYS_keyctl, -1, 0, 0, 0, 0);
	TRY("userfaultfd", SYS_userfaultfd, -1);
	TRY("setresuid for good", SYS_setresuid, 0, 0, 0);
	TRY("sethostname", SYS_sethostname, NULL, -1);
	TRY("socket of unix", SYS_socket, AF_UNIX, SOCK_DGRAM, 0);
	TRY("socket of TCP", SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* calls on|off FOLDER */
int main(int argc, char **argv)
{
	char path[256];
	int folder, file, error = 0;

	if (argc != 3)
		return 2;
	snprintf(path, sizeof(path), "%s/file", argv[2]);
	file = open(path, O_RDWR | O_CREAT, 0600);
	folder = open(argv[2], O_RDONLY | O_DIRECTORY);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (strcmp(argv[1], "on") == 0)
		error = sandbox_filter(channel_calls());
	if (file < 0 || folder < 0 || error)
		return 3;
	processes();
	memory();
	files(file);
	devices(folder);
	mounts();
	sockets_and_kernel();
	return sendmsg(1, &(struct msghdr){ .msg_iov = &(struct iovec){ said, length }, .msg_iovlen = 1 }, 0) < 0;
}
