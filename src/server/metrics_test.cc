#include "server/metrics.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "server/scripted_model.h"

namespace linnet {
namespace {

// The value of a sample; -1 if there is none.
double Sample(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + " ")) return std::stod(line.substr(name.size() + 1));
  }
  return -1;
}

TEST(MetricsTest, HaveTheNamesThatDashboardsKnow) {
  Metrics metrics;
  metrics.AddModel(
      "tiny",
      [] {
        SchedulerStatistics s;
        s.reading = 1;
        s.writing = 4;
        s.waiting = 7;
        s.passes = 10;
        s.prompt_rows = 30;
        s.decode_rows = 40;
        s.cached_tokens = 70;
        return s;
      },
      [] {
        CacheStatistics s;
        s.queries = 11;
        s.hits = 3;
        s.in_memory = 2;
        s.memory_bytes = 1000;
        s.disk_bytes = 5000;
        return s;
      });
  metrics.AddHttp([] {
    HttpStatistics s;
    s.replies = {{200, 5}, {404, 2}};
    return s;
  });
  metrics.AddResponses([] { return ResponseStoreStatistics{.responses = 6}; });
  const std::string text = metrics.Text();
  const auto of_model = [&](const std::string& name) {
    return Sample(text, name + "{model_name=\"tiny\"}");
  };
  EXPECT_EQ(of_model("linnet_num_requests_running"), 5);
  EXPECT_EQ(of_model("linnet_num_requests_waiting"), 7);
  EXPECT_EQ(of_model("linnet_batch_size"), 4);
  EXPECT_EQ(of_model("linnet_rows_per_pass"), 7);
  EXPECT_EQ(of_model("linnet_prompt_tokens_cached"), 70);
  EXPECT_EQ(of_model("linnet_prefix_cache_queries"), 11);
  EXPECT_EQ(of_model("linnet_prefix_cache_hits"), 3);
  EXPECT_EQ(Sample(text, R"(linnet_states_resident{model_name="tiny",of="cache"})"), 2);
  EXPECT_EQ(Sample(text, R"(linnet_states_resident{model_name="tiny",of="requests"})"), 5);
  EXPECT_EQ(Sample(text, R"(linnet_cache_bytes{model_name="tiny",tier="memory"})"), 1000);
  EXPECT_EQ(Sample(text, R"(linnet_cache_bytes{model_name="tiny",tier="disk"})"), 5000);
  EXPECT_EQ(Sample(text, R"(linnet_http_replies_total{status="404"})"), 2);
  EXPECT_EQ(Sample(text, "linnet_responses_stored"), 6);
  EXPECT_GT(Sample(text, "process_resident_memory_bytes"), 0);
}

TEST(MetricsTest, TimesOfJobsAreMeasured) {
  Metrics metrics;
  test::ScriptedEngine engine;
  const auto served = test::ScriptedModel(engine);
  metrics.Measure(*served);
  served->submit(Job{.prompt = {1}}, std::make_shared<Listener>());  // 3 tokens, then 2
  served->submit(Job{.prompt = {1}, .background = true}, std::make_shared<Listener>());
  const std::string text = metrics.Text();
  const std::string count = "_count{model_name=\"tiny\"}";
  EXPECT_EQ(Sample(text, "linnet_request_queue_time_seconds" + count), 1);
  EXPECT_EQ(Sample(text, "linnet_time_to_first_token_seconds" + count), 1);
  EXPECT_EQ(Sample(text, "linnet_inter_token_latency_seconds" + count), 2);
}

TEST(MetricsTest, TheTextIsPrometheuss) {
  Metrics metrics;
  metrics.AddModel(
      "a \"b\"", [] { return SchedulerStatistics{}; }, [] { return CacheStatistics{}; });
  Router router;
  AddMetricsRoute(router, metrics);
  const auto reply = test::Call(router, "GET", "/metrics");
  EXPECT_EQ(reply->status, 200);
  EXPECT_TRUE(reply->content_type.starts_with("text/plain; version=0.0.4"));
  const std::regex sample(R"re([a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)+\})? [-+0-9.e]+)re");
  std::set<std::string> typed;
  std::istringstream lines(reply->body);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(typed.insert(line.substr(7, line.rfind(' ') - 7)).second) << "twice: " << line;
    } else if (!line.starts_with("# HELP ")) {
      EXPECT_TRUE(std::regex_match(line, sample)) << line;
    }
  }
  EXPECT_GT(typed.size(), 20u);
}

}  // namespace
}  // namespace linnet
