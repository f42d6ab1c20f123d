/* Plug-in for QEMU's user emulation that counts the instructions that the guest executes.
 *
 *     gcc -shared -fPIC -O2 -o count.so count.c
 *     qemu-aarch64 -plugin count.so,out=FILE,marker=173 ...
 *
 * At each system call of number `marker` (getppid: harmless and otherwise unused) the current count is written to FILE,
 * one decimal number per line: the difference of two lines is the number of instructions between two calls. The
 * instructions of a block are counted when it is entered. Counts are exact while the guest has one thread.
 *
 * Debian packages no header for plug-ins, so the declarations that are used are repeated here. Source: documentation of
 * QEMU's TCG plug-ins, API version 1 (QEMU 4.2 to 8.2).
 */

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLIC __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

typedef void (*on_translation)(plugin_id, struct qemu_plugin_tb *);
typedef void (*on_system_call)(plugin_id, unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                               uint64_t, uint64_t, uint64_t);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_translation);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, on_system_call);

PUBLIC int qemu_plugin_version = 1;

static uint64_t executed;
static int64_t marker = -1;
static FILE *out;

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &executed,
                                             qemu_plugin_tb_n_insns(block));
}

static void called(plugin_id id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                   uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)cpu, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == marker) {
        fprintf(out, "%" PRIu64 "\n", executed);
        fflush(out);
    }
}

PUBLIC int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0)
            out = fopen(argv[i] + 4, "w");
        else if (strncmp(argv[i], "marker=", 7) == 0)
            marker = strtoll(argv[i] + 7, NULL, 10);
        else
            fprintf(stderr, "count: unknown argument %s\n", argv[i]);
    }
    if (out == NULL || marker < 0) {
        fprintf(stderr, "count: needs out=FILE and marker=NUMBER\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
