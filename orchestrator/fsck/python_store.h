#pragma once

#include <string>

#include "absl/status/status.h"

namespace backfire::fsck {

/// Looks at every byte that a model service in Python keeps (`state.db`, whose tables are in
/// services/python/backfire_database.py), and changes nothing; it may be in use. DATA_LOSS: a row
/// does not match its checksum, or a version's weights its digest. FAILED_PRECONDITION: a newer
/// program made it, or one from before there were checksums.
absl::Status CheckPythonStore(const std::string& path);

}  // namespace backfire::fsck
