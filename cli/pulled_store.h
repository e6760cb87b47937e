// PulledStore: models in the folder of `linnet serve --models-dir` are pulled, named and removed.
#ifndef LINNET_CLI_PULLED_STORE_H_
#define LINNET_CLI_PULLED_STORE_H_

#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "server/model_store.h"
#include "server/served_model.h"

namespace linnet::cli {

// As `linnet pull` keeps them, FOLDER/OWNER/REPO/FILE, from the hub of the environment. Nothing
// outside of the folder is written or removed. Thread-safe; each pull has a thread.
class PulledStore : public ModelStore {
 public:
  // `models` says which are loaded. Throws Error kIo if `folder` is none.
  PulledStore(const std::filesystem::path& folder, std::shared_ptr<const ServedModels> models);
  ~PulledStore() override;
  PulledStore(const PulledStore&) = delete;
  PulledStore& operator=(const PulledStore&) = delete;

  // Throws also RequestError 409 if it is being pulled already, and Error kBusy.
  void Pull(const std::string& name, PullEvents events) override;
  void Copy(const std::string& source, const std::string& destination) override;
  void Delete(const std::string& name) override;

  // Ends all pulls, which later ones resume, and waits for them. No more begin.
  void Stop();

 private:
  struct Running;

  void CheckPlace(const std::string& owner, const std::string& repository) const;
  void JoinEnded();

  const std::filesystem::path folder_;
  const std::shared_ptr<const ServedModels> models_;
  std::mutex mutex_;  // of what follows, and of records
  std::list<std::shared_ptr<Running>> running_;
  bool stopping_ = false;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_PULLED_STORE_H_
