// SPDX-License-Identifier: BSD-2-Clause
//
// Only in the tests of the preset tsan. Debian's gRPC is not instrumented, so TSan does not see
// that what a thread did before it began an operation happened before what another does with its
// completion. These functions stand before gRPC's own of the same name and say so, for each
// operation by its tag; nothing else is ordered.
//
// Why this and no suppressions: a line such as race:grpc:: hides every report with such a frame in
// either stack, and all our handlers have one. called_from_lib lines alone leave 3,324 reports in
// rpc_test, ignore_noninstrumented_modules=1 alone 925; with this file and the latter there is
// none, and no suppression. Checked with a counter in rpc/serve_call.h that its handlers raise
// without a lock: reported this way, not reported with the suppressions that were here before.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>

namespace {

/// gRPC's own function of this name and type.
template <class Function>
Function* real(Function* /*type*/, const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function*>(found);
}

grpc_event completed(grpc_event event) {
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

}  // namespace

extern "C" {

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, size_t count, void* tag,
                                      void* reserved) {
  static const auto begin = real(&grpc_call_start_batch, "grpc_call_start_batch");
  __tsan_release(tag);
  return begin(call, ops, count, tag, reserved);
}

grpc_call_error grpc_server_request_call(grpc_server* server, grpc_call** call,
                                         grpc_call_details* details, grpc_metadata_array* metadata,
                                         grpc_completion_queue* bound,
                                         grpc_completion_queue* notified, void* tag) {
  static const auto begin = real(&grpc_server_request_call, "grpc_server_request_call");
  __tsan_release(tag);
  return begin(server, call, details, metadata, bound, notified, tag);
}

grpc_call_error grpc_server_request_registered_call(grpc_server* server, void* method,
                                                    grpc_call** call, gpr_timespec* deadline,
                                                    grpc_metadata_array* metadata,
                                                    grpc_byte_buffer** payload,
                                                    grpc_completion_queue* bound,
                                                    grpc_completion_queue* notified, void* tag) {
  static const auto begin =
      real(&grpc_server_request_registered_call, "grpc_server_request_registered_call");
  __tsan_release(tag);
  return begin(server, method, call, deadline, metadata, payload, bound, notified, tag);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static const auto wait = real(&grpc_completion_queue_next, "grpc_completion_queue_next");
  return completed(wait(queue, deadline, reserved));
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  static const auto wait = real(&grpc_completion_queue_pluck, "grpc_completion_queue_pluck");
  return completed(wait(queue, tag, deadline, reserved));
}

}  // extern "C"
