// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU plugin: counts the instructions that the guest executes, and answers
 * the guest that asks for the counts.
 *
 * A guest program asks by executing the seven-byte no-op
 *
 *	0f 1f 80 01 de c0 0e		nopl 0x0ec0de01(%rax)
 *
 * which leaves in RAX the instructions executed so far in the kernel's half of
 * the address space, and in RDX those in the other half, on all CPUs
 * together. Without the plugin it is a no-op, and both keep their values.
 *
 * Counted is what a translation block holds whenever one is entered: a block
 * left half-way by a page fault counts in full.
 *
 * With the argument profile=FILE each answer also writes to FILE the line
 * "answer" and, for every block executed since the answer before, its address
 * and the instructions executed in it.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Debian's QEMU takes plugins but ships no header for them: this much of
 * version 7 of the interface (QEMU 11.1) is used here.
 */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;
struct qemu_plugin_scoreboard;

struct qemu_plugin_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

struct qemu_plugin_reg_descriptor {
	struct qemu_plugin_register *handle;
	const char *name;
	const char *feature;
	bool is_readonly;
};

/* The public part of GLib's array types. */
struct g_array {
	void *data;
	unsigned int len;
};

enum { CB_RW_REGS = 2 };
enum { INLINE_ADD_U64 = 0 };

typedef void (*tb_trans_cb)(struct qemu_plugin_tb *tb, void *data);
typedef void (*vcpu_udata_cb)(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, tb_trans_cb cb,
					   void *data);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
	struct qemu_plugin_tb *tb, int op, struct qemu_plugin_u64 entry,
	uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    vcpu_udata_cb cb, int flags,
					    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *buffer,
			     size_t len);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
uint64_t qemu_plugin_u64_sum(struct qemu_plugin_u64 entry);
struct g_array *qemu_plugin_get_registers(void);
int qemu_plugin_write_register(struct qemu_plugin_register *handle,
			       struct g_array *bytes);
struct g_array *g_array_free(struct g_array *array, int free_segment);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 7;

static const uint8_t question[] = { 0x0f, 0x1f, 0x80, 0x01, 0xde, 0xc0, 0x0e };

/* Linux on x86-64 has the upper half of the address space. */
static const uint64_t kernel_half = 1ULL << 63;

static struct qemu_plugin_u64 kernel;
static struct qemu_plugin_u64 user;

/* What was executed in the block that begins at an address. */
struct block {
	uint64_t address;
	struct qemu_plugin_u64 count;
	uint64_t told;
};

/* A hash table; what finds no place in it isn't profiled. */
#define BLOCKS (1 << 19)

static FILE *profile;
static struct block *blocks;
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

static struct block *block_at(uint64_t address)
{
	size_t at = (address * 0x9e3779b97f4a7c15) >> 45;
	struct block *block = NULL;

	pthread_mutex_lock(&blocks_lock);
	for (int try = 0; try < 64; try++, at = (at + 1) % BLOCKS) {
		if (blocks[at].address && blocks[at].address != address)
			continue;
		block = &blocks[at];
		if (!block->address)
			block->count.score = qemu_plugin_scoreboard_new(
				sizeof(uint64_t));
		block->address = address;
		break;
	}
	pthread_mutex_unlock(&blocks_lock);
	return block;
}

static void write_profile(void)
{
	pthread_mutex_lock(&blocks_lock);
	fputs("answer\n", profile);
	for (struct block *block = blocks; block < blocks + BLOCKS; block++) {
		uint64_t count = block->address ?
			qemu_plugin_u64_sum(block->count) : 0;

		if (count != block->told)
			fprintf(profile, "%llx %llu\n",
				(unsigned long long)block->address,
				(unsigned long long)(count - block->told));
		block->told = count;
	}
	fflush(profile);
	pthread_mutex_unlock(&blocks_lock);
}

static void set_register(struct g_array *registers, const char *name,
			 uint64_t value)
{
	const struct qemu_plugin_reg_descriptor *reg = registers->data;
	struct g_array bytes = { .data = &value, .len = sizeof(value) };

	for (unsigned int i = 0; i < registers->len; i++)
		if (!strcmp(reg[i].name, name))
			qemu_plugin_write_register(reg[i].handle, &bytes);
}

static void answer(unsigned int cpu, void *data)
{
	struct g_array *registers = qemu_plugin_get_registers();

	set_register(registers, "rax", qemu_plugin_u64_sum(kernel));
	set_register(registers, "rdx", qemu_plugin_u64_sum(user));
	g_array_free(registers, true);
	if (profile)
		write_profile();
}

static void translated(struct qemu_plugin_tb *tb, void *data)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	bool in_kernel = qemu_plugin_tb_vaddr(tb) >= kernel_half;

	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
		tb, INLINE_ADD_U64, in_kernel ? kernel : user, n);
	if (profile && in_kernel) {
		struct block *block = block_at(qemu_plugin_tb_vaddr(tb));

		if (block)
			qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
				tb, INLINE_ADD_U64, block->count, n);
	}
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t bytes[sizeof(question)];

		if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) ==
			    sizeof(question) &&
		    !memcmp(bytes, question, sizeof(question)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, answer,
							       CB_RW_REGS,
							       NULL);
	}
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc,
			       char **argv)
{
	struct qemu_plugin_scoreboard *counts =
		qemu_plugin_scoreboard_new(2 * sizeof(uint64_t));

	kernel = (struct qemu_plugin_u64){ counts, 0 };
	user = (struct qemu_plugin_u64){ counts, sizeof(uint64_t) };
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "profile=", 8)) {
			fprintf(stderr, "icount: no argument %s\n", argv[i]);
			return -1;
		}
		profile = fopen(argv[i] + 8, "w");
		blocks = calloc(BLOCKS, sizeof(*blocks));
		if (!profile || !blocks) {
			perror(argv[i]);
			return -1;
		}
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated, NULL);
	return 0;
}
