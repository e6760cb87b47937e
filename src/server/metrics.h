// Metrics: what the server counts, in Prometheus's text format, for GET /metrics.
#ifndef LINNET_SERVER_METRICS_H_
#define LINNET_SERVER_METRICS_H_

#include <functional>
#include <memory>
#include <string>

#include "engine/scheduler.h"
#include "engine/state_cache.h"
#include "http/http.h"
#include "server/response_store.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// Thread-safe once the sources but for models were added. What the engine, the cache, the transport
// and the store count is asked for at each scrape; times between events are measured by the
// listeners that Measure puts around those of every job.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The functions are called at each scrape, by any thread. They may be empty.
  void AddModel(const std::string& name, std::function<SchedulerStatistics()> scheduler,
                std::function<CacheStatistics()> cache);
  void AddHttp(std::function<HttpStatistics()> http);
  void AddResponses(std::function<ResponseStoreStatistics()> responses);

  // Makes `served.submit` measure times in the queue, to the first token and between tokens.
  // Background jobs are not measured. The metrics must outlive the jobs.
  void Measure(ServedModel& served);

  std::string Text() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// GET /metrics. The metrics must outlive the router.
void AddMetricsRoute(Router& router, const Metrics& metrics);

}  // namespace linnet

#endif  // LINNET_SERVER_METRICS_H_
