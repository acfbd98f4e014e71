// Precompiled for targets that see the contracts' messages.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "backfire/v1/model_service.pb.h"
#include "backfire/v1/orchestrator.pb.h"
#include "backfire/v1/system.pb.h"
#include "google/protobuf/struct.pb.h"
