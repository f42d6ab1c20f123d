/* An external delegate for the tests: it looks at the model, takes nothing over, and counts.

   The interface is declared here as the interpreters' public headers have it (tensorflow/lite/core/c/common.h,
   tensorflow/lite/delegates/external/external_delegate_interface.h), so that no header of theirs is needed.

   Options: "mode" is "none" to be refused a delegate, as where the device is missing, or "refuse" for one that
   accepts no model. Any other option that is not "verbose" is an error. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef enum { kOk = 0, kError = 1, kDelegateError = 2 } Status;

typedef struct {
  int size;
  int data[];
} IntArray;

/* Only the first members of the interpreter's context: the rest is never touched. */
typedef struct Context {
  size_t tensors_size;
  Status (*GetExecutionPlan)(struct Context *context, IntArray **plan);
} Context;

typedef struct Delegate {
  void *data;
  Status (*Prepare)(Context *context, struct Delegate *delegate);
  void *CopyFromBufferHandle;
  void *CopyToBufferHandle;
  void *FreeBufferHandle;
  int64_t flags;
  void *opaque_delegate_builder;
} Delegate;

int created, destroyed, prepared, operators;

static Status accept(Context *context, Delegate *delegate) {
  IntArray *plan;
  (void)delegate;
  if (context->GetExecutionPlan(context, &plan) != kOk) return kError;
  ++prepared;
  operators = plan->size;
  return kOk;
}

static Status refuse(Context *context, Delegate *delegate) {
  (void)context;
  (void)delegate;
  return kDelegateError;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t number, void (*report)(const char *)) {
  Status (*prepare)(Context *, Delegate *) = accept;
  for (size_t i = 0; i < number; ++i) {
    if (strcmp(keys[i], "mode") == 0 && strcmp(values[i], "none") == 0) {
      report("no such device on this bus");
      return NULL;
    }
    if (strcmp(keys[i], "mode") == 0 && strcmp(values[i], "refuse") == 0) {
      prepare = refuse;
    } else if (strcmp(keys[i], "verbose") != 0) {
      report("unknown option ");
      report(keys[i]);
      return NULL;
    }
  }
  Delegate *delegate = calloc(1, sizeof *delegate);
  if (delegate != NULL) {
    delegate->Prepare = prepare;
    ++created;
  }
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) {
  if (delegate != NULL) {
    free(delegate);
    ++destroyed;
  }
}
