// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/node_control_service.h"

#include "rpc/serve_call.h"
#include "ukai_node.grpc.pb.h"

namespace ukai {
namespace {

class NodeControlService final : public pb::NodeControl::Service {
 public:
  NodeControlService(StorageNode& node, const std::string& node_id)
      : node_(node), identities_{node_identity(node_id)} {}

  grpc::Status Fence(grpc::ServerContext* context, const pb::FenceRequest* request,
                     pb::FenceReply* reply) override {
    return serve_call(*context, identities_, *reply, [&] { return node_.fence(*request); });
  }

  grpc::Status DirtyList(grpc::ServerContext* context, const pb::DirtyListRequest* request,
                         pb::DirtyListReply* reply) override {
    return serve_call(*context, identities_, *reply, [&] { return node_.dirty_list(*request); });
  }

  grpc::Status Clean(grpc::ServerContext* context, const pb::CleanRequest* request,
                     pb::CleanReply* reply) override {
    return serve_call(*context, identities_, *reply, [&] { return node_.clean(*request); });
  }

  grpc::Status SetMissing(grpc::ServerContext* context, const pb::SetMissingRequest* request,
                          pb::SetMissingReply* reply) override {
    return serve_call(*context, identities_, *reply, [&] { return node_.set_missing(*request); });
  }

  grpc::Status Pull(grpc::ServerContext* context, const pb::PullRequest* request,
                    pb::PullReply* reply) override {
    return serve_call(*context, identities_, *reply,
                      [&] { return wait_for_caller(*context, node_.pull(*request)); });
  }

  grpc::Status Hash(grpc::ServerContext* context, const pb::HashRequest* request,
                    pb::HashReply* reply) override {
    return serve_call(*context, identities_, *reply, [&] {
      return wait_for_caller(*context, node_.hash_in_background(*request));
    });
  }

  grpc::Status Clone(grpc::ServerContext* context, const pb::CloneRequest* request,
                     pb::CloneReply* reply) override {
    return serve_call(*context, identities_, *reply, [&] { return node_.clone(*request); });
  }

  grpc::Status DiskUsage(grpc::ServerContext* context, const pb::DiskUsageRequest* request,
                         pb::DiskUsageReply* reply) override {
    return serve_call(*context, identities_, *reply, [&] { return node_.disk_usage(*request); });
  }

  grpc::Status Held(grpc::ServerContext* context, const pb::HeldRequest* request,
                    pb::HeldReply* reply) override {
    return serve_call(*context, identities_, *reply, [&] { return node_.held(*request); });
  }

  grpc::Status Health(grpc::ServerContext* context, const pb::HealthRequest* /*request*/,
                      pb::HealthReply* reply) override {
    return serve_call(*context, identities_, *reply,
                      [&] { return Result<pb::HealthReply>(node_.health()); });
  }

 private:
  StorageNode& node_;
  const std::vector<std::string> identities_;
};

}  // namespace

std::shared_ptr<grpc::Service> make_node_control_service(StorageNode& node,
                                                         const std::string& node_id) {
  return std::make_shared<NodeControlService>(node, node_id);
}

}  // namespace ukai
