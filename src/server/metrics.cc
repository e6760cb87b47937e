#include "server/metrics.h"

#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>

#include <chrono>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/memory.h"

namespace linnet {
namespace {

using prometheus::ClientMetric;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Clock = std::chrono::steady_clock;
using MetricLabels = std::vector<ClientMetric::Label>;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Families in the order of their first sample.
class Families {
 public:
  void Count(const std::string& name, const std::string& help, MetricLabels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    Of(name, help, MetricType::Counter).metric.push_back(std::move(metric));
  }
  void Gauge(const std::string& name, const std::string& help, MetricLabels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    Of(name, help, MetricType::Gauge).metric.push_back(std::move(metric));
  }
  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  MetricFamily& Of(const std::string& name, const std::string& help, MetricType type) {
    for (MetricFamily& family : families_) {
      if (family.name == name) return family;
    }
    families_.push_back({name, help, type, {}});
    return families_.back();
  }
  std::vector<MetricFamily> families_;
};

double Double(uint64_t count) { return static_cast<double>(count); }

MetricLabels With(MetricLabels labels, const std::string& name, const std::string& value) {
  labels.push_back({name, value});
  return labels;
}

void AddScheduler(const SchedulerStatistics& s, const MetricLabels& model, Families& out) {
  out.Gauge("linnet_num_requests_running", "Jobs that read their prompt or write.", model,
            Double(s.reading + s.writing));
  out.Gauge("linnet_num_requests_waiting", "Jobs in the queue.", model, Double(s.waiting));
  out.Gauge("linnet_num_tokens_waiting", "Tokens of the prompts in the queue.", model,
            Double(s.waiting_tokens));
  out.Gauge("linnet_batch_size", "Texts that get one token in each pass now.", model,
            Double(s.writing));
  out.Gauge("linnet_prompt_rows_budget", "Rows that prompts get in a pass now.", model,
            Double(s.prompt_budget));
  out.Gauge("linnet_rows_per_pass", "Rows of a pass, the mean since the start.", model,
            s.passes == 0 ? 0 : Double(s.prompt_rows + s.decode_rows) / Double(s.passes));
  out.Count("linnet_passes_total", "Passes over the weights.", model, Double(s.passes));
  out.Count("linnet_rows_total", "Rows of all passes: tokens run.", With(model, "kind", "prompt"),
            Double(s.prompt_rows));
  out.Count("linnet_rows_total", "", With(model, "kind", "decode"), Double(s.decode_rows));
  out.Count("linnet_prompt_tokens_total", "Tokens of prompts, read or cached.", model,
            Double(s.prompt_rows + s.cached_tokens));
  out.Count("linnet_prompt_tokens_cached", "Tokens of prompts that a cached state had read.", model,
            Double(s.cached_tokens));
  out.Count("linnet_generation_tokens_total", "Tokens written.", model, Double(s.written_tokens));
  constexpr const char* kJobs = "Jobs that ended, or were refused because the queue was full.";
  out.Count("linnet_requests_total", kJobs, With(model, "outcome", "done"), Double(s.done));
  out.Count("linnet_requests_total", kJobs, With(model, "outcome", "cancelled"),
            Double(s.cancelled));
  out.Count("linnet_requests_total", kJobs, With(model, "outcome", "failed"), Double(s.failed));
  out.Count("linnet_requests_total", kJobs, With(model, "outcome", "refused"), Double(s.refused));
  out.Count("linnet_spec_decode_num_drafts", "Passes that checked guesses of tokens.", model,
            Double(s.speculation.passes));
  out.Count("linnet_spec_decode_num_draft_tokens", "Guesses of tokens.", model,
            Double(s.speculation.guessed));
  out.Count("linnet_spec_decode_num_accepted_tokens", "Guesses that were right.", model,
            Double(s.speculation.accepted));
  constexpr const char* kTime = "Time of the engine's thread.";
  out.Count("linnet_engine_seconds_total", kTime, With(model, "part", "pass"), s.pass_s);
  out.Count("linnet_engine_seconds_total", kTime, With(model, "part", "sample"), s.sample_s);
  out.Count("linnet_engine_seconds_total", kTime, With(model, "part", "cache"), s.cache_s);
  out.Count("linnet_engine_seconds_total", kTime, With(model, "part", "other"), s.other_s);
  out.Count("linnet_engine_wakeups_total", "Wakeups of the engine's thread; none while idle.",
            model, Double(s.wakeups));
  out.Gauge("linnet_states_resident", "States in memory.", With(model, "of", "requests"),
            Double(s.reading + s.writing));
  out.Gauge("linnet_state_bytes", "Bytes of the states of running requests.", model,
            Double(s.state_bytes));
}

void AddCache(const CacheStatistics& s, const MetricLabels& model, Families& out) {
  out.Count("linnet_prefix_cache_queries", "Prompts that were looked up in the state cache.", model,
            Double(s.queries));
  out.Count("linnet_prefix_cache_hits", "Prompts of which the state cache had a beginning.", model,
            Double(s.hits));
  out.Count("linnet_prefix_cache_tokens_saved", "Tokens that hits did not have to read.", model,
            Double(s.tokens_saved));
  out.Gauge("linnet_states_resident", "States in memory.", With(model, "of", "cache"),
            Double(s.in_memory));
  out.Gauge("linnet_cache_entries", "States in the cache, in memory, on disk or both.", model,
            Double(s.entries));
  out.Gauge("linnet_cache_bytes", "Bytes of the state cache.", With(model, "tier", "memory"),
            Double(s.memory_bytes));
  out.Gauge("linnet_cache_bytes", "", With(model, "tier", "disk"), Double(s.disk_bytes));
  out.Gauge("linnet_cache_disk_in_use", "Whether the cache can use its folder.", model,
            s.disk ? 1 : 0);
  constexpr const char* kDropped = "States that left the cache.";
  out.Count("linnet_cache_dropped_total", kDropped, With(model, "why", "evicted"),
            Double(s.evictions));
  out.Count("linnet_cache_dropped_total", kDropped, With(model, "why", "expired"),
            Double(s.expired));
  out.Count("linnet_cache_dropped_total", kDropped, With(model, "why", "damaged"),
            Double(s.damaged));
  out.Count("linnet_cache_disk_states_total", "States read from and written to disk.",
            With(model, "way", "read"), Double(s.reads));
  out.Count("linnet_cache_disk_states_total", "", With(model, "way", "written"), Double(s.writes));
}

void AddTransport(const HttpStatistics& s, Families& out) {
  out.Gauge("linnet_http_connections", "Open connections.", {}, Double(s.connections));
  out.Gauge("linnet_http_requests_running", "Requests that have no whole answer yet.", {},
            Double(s.requests_running));
  out.Gauge("linnet_http_streams", "Of them, streams that have begun.", {}, Double(s.streams));
  out.Count("linnet_http_connections_total", "Connections that were accepted.", {},
            Double(s.connections_accepted));
  out.Count("linnet_http_connections_refused_total", "Connections over a limit.", {},
            Double(s.connections_refused));
  out.Count("linnet_http_requests_total", "Requests.", {}, Double(s.requests));
  for (const auto& [status, count] : s.replies) {
    out.Count("linnet_http_replies_total", "Answers by status.",
              {{"status", std::to_string(status)}}, Double(count));
  }
  out.Count("linnet_http_gone_total", "Clients that left before the end of their answer.", {},
            Double(s.gone));
  out.Count("linnet_http_cut_off_total", "Of them, those that read too slowly.", {},
            Double(s.cut_off));
  out.Count("linnet_http_timed_out_total", "Requests that came too slowly.", {},
            Double(s.timed_out));
  out.Count("linnet_http_bytes_total", "Bytes of all connections.", {{"way", "received"}},
            Double(s.bytes_received));
  out.Count("linnet_http_bytes_total", "", {{"way", "sent"}}, Double(s.bytes_sent));
}

void AddProcess(Families& out) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  out.Count("process_cpu_seconds_total", "CPU time of the process.", {},
            seconds(usage.ru_utime) + seconds(usage.ru_stime));
  out.Gauge("process_resident_memory_bytes", "Memory of the process.", {},
            Double(ResidentMemory()));
}

const Histogram::BucketBoundaries kQueueTimes = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3,
                                                 1,     3,     10,   30,   100, 300};
const Histogram::BucketBoundaries kFirstTokenTimes = {0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1,
                                                      2,     5,    10,   20,  50,  100, 300};
const Histogram::BucketBoundaries kTokenTimes = {0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                                 0.1,    0.2,   0.5,   1,     2,    5};

struct Timers {
  Histogram* queue;
  Histogram* first_token;
  Histogram* token;
};

// Hands everything on, and measures when it came.
class TimedListener : public Listener {
 public:
  TimedListener(std::shared_ptr<Listener> inner, Timers timers, size_t choices)
      : inner_(std::move(inner)), timers_(timers), last_(choices) {}

  void OnStart() override {
    timers_.queue->Observe(SecondsSince(submitted_));
    inner_->OnStart();
  }
  void OnPromptState(const Snapshot& at) override { inner_->OnPromptState(at); }
  void OnPromptTokens(std::span<const TokenInfo> tokens) override {
    inner_->OnPromptTokens(tokens);
  }
  void OnPrompt(const PromptRead& read) override { inner_->OnPrompt(read); }
  void OnEmbedding(std::span<const float> vector) override { inner_->OnEmbedding(vector); }
  void OnContinuation(size_t index, const ContinuationScore& score) override {
    inner_->OnContinuation(index, score);
  }
  void OnPiece(size_t choice, const Piece& piece) override {
    if (!piece.tokens.empty() && choice < last_.size()) Time(last_[choice], piece.tokens.size());
    inner_->OnPiece(choice, piece);
  }
  void OnTextState(size_t choice, const Snapshot& at, std::span<const int32_t> rest) override {
    inner_->OnTextState(choice, at, rest);
  }
  void OnEnd(size_t choice, const Ending& ending) override { inner_->OnEnd(choice, ending); }
  void OnDone() override { inner_->OnDone(); }
  void OnError(const Error& error) override { inner_->OnError(error); }

 private:
  void Time(std::optional<Clock::time_point>& last, size_t tokens) {
    const Clock::time_point now = Clock::now();
    if (last) {
      // Several tokens of one piece count as if they had come at equal distances.
      const double each = std::chrono::duration<double>(now - *last).count() / Double(tokens);
      for (size_t i = 0; i < tokens; ++i) timers_.token->Observe(each);
    } else if (!begun_) {
      begun_ = true;
      timers_.first_token->Observe(SecondsSince(submitted_));
    }
    last = now;
  }

  const std::shared_ptr<Listener> inner_;
  const Timers timers_;
  const Clock::time_point submitted_ = Clock::now();
  bool begun_ = false;
  std::vector<std::optional<Clock::time_point>> last_;  // by choice
};

}  // namespace

class Metrics::Impl {
 public:
  struct Source {
    MetricLabels labels;
    std::function<SchedulerStatistics()> scheduler;
    std::function<CacheStatistics()> cache;
  };

  Timers TimersOf(const std::string& name) {
    const prometheus::Labels labels = {{"model_name", name}};
    return {&queue_.Add(labels, kQueueTimes), &first_token_.Add(labels, kFirstTokenTimes),
            &token_.Add(labels, kTokenTimes)};
  }

  std::string Text() const {
    Families families;
    const std::lock_guard lock(mutex);
    for (const Source& source : sources) {
      if (source.scheduler) AddScheduler(source.scheduler(), source.labels, families);
    }
    for (const Source& source : sources) {
      if (source.cache) AddCache(source.cache(), source.labels, families);
    }
    if (http) AddTransport(http(), families);
    if (responses) {
      const ResponseStoreStatistics s = responses();
      families.Gauge("linnet_responses_stored", "Responses that can be continued.", {},
                     Double(s.responses));
      families.Gauge("linnet_responses_bytes", "Bytes of stored responses.", {}, Double(s.bytes));
      families.Count("linnet_responses_lost_total", "Responses that could not be stored.", {},
                     Double(s.failures));
    }
    AddProcess(families);
    const prometheus::TextSerializer serializer;
    return serializer.Serialize(families.Take()) + serializer.Serialize(registry_.Collect());
  }

  mutable std::mutex mutex;  // of the next
  std::vector<Source> sources;
  std::function<HttpStatistics()> http;
  std::function<ResponseStoreStatistics()> responses;

 private:
  prometheus::Family<Histogram>& Times(const std::string& name, const std::string& help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
  }

  prometheus::Registry registry_;
  prometheus::Family<Histogram>& queue_ =
      Times("linnet_request_queue_time_seconds", "From the request to the start of its prompt.");
  prometheus::Family<Histogram>& first_token_ =
      Times("linnet_time_to_first_token_seconds", "From the request to its first token.");
  prometheus::Family<Histogram>& token_ =
      Times("linnet_inter_token_latency_seconds", "Between two tokens of a text.");
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::AddModel(const std::string& name, std::function<SchedulerStatistics()> scheduler,
                       std::function<CacheStatistics()> cache) {
  const std::lock_guard lock(impl_->mutex);
  impl_->sources.push_back({{{"model_name", name}}, std::move(scheduler), std::move(cache)});
}
void Metrics::AddHttp(std::function<HttpStatistics()> http) { impl_->http = std::move(http); }
void Metrics::AddResponses(std::function<ResponseStoreStatistics()> responses) {
  impl_->responses = std::move(responses);
}

void Metrics::Measure(ServedModel& served) {
  const Timers timers = impl_->TimersOf(served.name);
  served.submit = [timers, submit = served.submit](Job job, std::shared_ptr<Listener> listener) {
    if (!job.background) {
      listener = std::make_shared<TimedListener>(std::move(listener), timers, job.choices);
    }
    return submit(std::move(job), std::move(listener));
  };
}

std::string Metrics::Text() const { return impl_->Text(); }

void AddMetricsRoute(Router& router, const Metrics& metrics) {
  router.Add("GET", "/metrics", [&metrics](const RouteCall& call) {
    call.reply->Send(200, metrics.Text(), "text/plain; version=0.0.4; charset=utf-8");
  });
}

}  // namespace linnet
