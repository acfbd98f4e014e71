#include "services/disparity/disparity_model.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "services/disparity/device_support.h"
#include "tests/support/model_test_kit.h"

namespace backfire::disparity {
namespace {

using runtime::Split;
using ::testing::HasSubstr;
using testing::RecordingJob;
using testing::RenderedFrames;

bool Never() { return false; }

bool SupportsBfloat16() { return CheckBfloat16(torch::kCPU).ok(); }

class DisparityModelTest : public ::testing::Test {
 protected:
  v1::Recipe Recipe(double steps, const char* name = "psmnet-disparity-mae") {
    return testing::RecipeOf(*model_, name,
                             {{"steps", steps},
                              {"channels", 4},
                              {"max_disparity", 32},
                              {"crop_height", 64},
                              {"crop_width", 96},
                              {"warmup_steps", 2}});
  }
  absl::StatusOr<std::string> Train(const v1::Recipe& recipe, int64_t seed,
                                    runtime::JobContext& job) {
    runtime::TrainingTask task;
    task.recipe = recipe;
    task.seed = seed;
    task.dataset = &frames_.dataset();
    task.files.checkpoint = frames_.checkpoint_path();
    return model_->Train(task, job);
  }
  std::string Weights(double steps, int64_t seed, const char* name = "psmnet-disparity-mae") {
    std::filesystem::remove(frames_.checkpoint_path());
    RecordingJob job;
    const auto weights = Train(Recipe(steps, name), seed, job);
    EXPECT_TRUE(weights.ok()) << weights.status();
    return weights.value_or("");
  }

  const std::unique_ptr<runtime::Model> model_ = MakeDisparityModel({"cpu"});
  const RenderedFrames frames_{4, 2};
};

TEST_F(DisparityModelTest, TheSeedAndTheRecipeDecideTheWeights) {
  const std::string weights = Weights(3, 1);
  EXPECT_EQ(Weights(3, 1), weights);
  EXPECT_NE(Weights(3, 2), weights);
  EXPECT_NE(Weights(3, 1, "psmnet-depth-mae"), weights);
}

// A training of one step at next to no rate leaves the network what it was.
TEST_F(DisparityModelTest, ThePretrainedNetworkSeesFramesThatItHasNotLearnt) {
  const auto file = model_->PretrainedFile("small");
  ASSERT_TRUE(file.ok()) << file.status();
  const auto error = [&](bool pretrained) {
    const auto recipe = testing::RecipeOf(
        *model_, "psmnet-disparity-mae",
        {{"steps", 1}, {"learning_rate", 1e-7}, {"crop_height", 64}, {"crop_width", 96}});
    const auto start = model_->ImportWeights(recipe, *file);
    EXPECT_TRUE(start.ok()) << start.status();
    runtime::TrainingTask task;
    task.recipe = recipe;
    task.seed = 1;
    task.dataset = &frames_.dataset();
    task.files.checkpoint = frames_.checkpoint_path();
    if (pretrained) task.initial_weights = &*start;
    RecordingJob job;
    EXPECT_TRUE(model_->Train(task, job).ok());
    return job.last().loss();
  };
  EXPECT_LT(error(true), 0.5 * error(false));
  const auto none = model_->PretrainedFile("large");
  EXPECT_TRUE(absl::IsNotFound(none.status()));
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("small"));
}

TEST_F(DisparityModelTest, GoesOnFromACheckpointToTheSameBits) {
  const std::string whole = Weights(103, 1);
  std::filesystem::remove(frames_.checkpoint_path());
  RecordingJob interrupted(101);
  ASSERT_TRUE(absl::IsCancelled(Train(Recipe(103), 1, interrupted).status()));
  ASSERT_TRUE(std::filesystem::exists(frames_.checkpoint_path()));
  RecordingJob job;
  const auto resumed = Train(Recipe(103), 1, job);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(*resumed, whole);
  EXPECT_EQ(job.last().step(), 103);
}

// The first loss is the same network's on the same batch, so it differs by rounding alone. From
// then on rounding leads trainings apart, so they are held against what a training in float32
// learns in the same run: one whose convolutions saw the weights of the first step alone, as a cast
// that outlives a step makes them, learns a quarter of it at most.
TEST_F(DisparityModelTest, PrecisionAndLayoutHardlyChangeATraining) {
  const auto losses = [&](const char* name, const char* value) {
    std::filesystem::remove(frames_.checkpoint_path());
    v1::Recipe recipe = Recipe(200);
    runtime::SetParameter(recipe, "learning_rate", 5e-3);
    runtime::SetParameter(recipe, name, value);
    RecordingJob job;
    const auto weights = Train(recipe, 1, job);
    EXPECT_TRUE(weights.ok()) << weights.status();
    return job.losses();
  };
  const auto learnt = [](const std::vector<double>& of_steps) {
    return of_steps.front() - of_steps.back();
  };
  const std::vector<double> plain = losses("precision", "float32");
  ASSERT_GT(learnt(plain), 0);
  // What they take is of AVX-512 both.
  if (!SupportsBfloat16()) GTEST_SKIP() << "channels last, bfloat16: not on this processor";
  const std::vector<double> channels_last = losses("layout", "channels-last");
  EXPECT_NEAR(channels_last.front(), plain.front(), 1e-4 * plain.front());
  EXPECT_GT(learnt(channels_last), 0.45 * learnt(plain));
  const std::vector<double> bfloat16 = losses("precision", "bfloat16");
  EXPECT_NE(bfloat16.front(), plain.front());
  EXPECT_NEAR(bfloat16.front(), plain.front(), 0.01 * plain.front());
  EXPECT_GT(learnt(bfloat16), 0.45 * learnt(plain));
}

// Against how far the prediction of another seed's training is: rounding must not come near.
TEST_F(DisparityModelTest, PrecisionAndLayoutHardlyChangeAPrediction) {
  const std::string weights = Weights(60, 1), others = Weights(60, 2);
  const auto predict = [&](const std::string& trained, const char* name, const char* value) {
    v1::Recipe recipe = Recipe(60);
    runtime::SetParameter(recipe, name, value);
    const auto predictor = *model_->Load(recipe, trained);
    return predictor->Predict(frames_.Request(Split::kTest, 0), Never)->at("disparity");
  };
  const runtime::Tensor plain = predict(weights, "precision", "float32");
  const auto mean_difference = [&](const runtime::Tensor& other) {
    double sum = 0;
    for (int64_t i = 0; i < plain.ElementCount(); ++i) {
      sum += std::abs(other.As<float>()[i] - plain.As<float>()[i]);
    }
    return sum / static_cast<double>(plain.ElementCount());
  };
  const double of_seeds = mean_difference(predict(others, "precision", "float32"));
  if (!SupportsBfloat16()) GTEST_SKIP() << "channels last, bfloat16: not on this processor";
  const double of_layout = mean_difference(predict(weights, "layout", "channels-last"));
  EXPECT_LT(of_layout, 1e-3 * of_seeds);
  const double of_bfloat16 = mean_difference(predict(weights, "precision", "bfloat16"));
  EXPECT_GT(of_bfloat16, 0);  // It is not float32.
  EXPECT_LT(of_bfloat16, 0.1 * of_seeds);
}

// Where oneDNN has no kernels for AVX-512 (DNNL_MAX_CPU_ISA=AVX2 makes it so), a recipe that asks
// for them is refused.
TEST_F(DisparityModelTest, WhatTheProcessorCannotIsRefusedByName) {
  const std::string weights = Weights(2, 1);
  const std::pair<const char*, const char*> asked[] = {{"precision", "bfloat16"},
                                                       {"layout", "channels-last"}};
  const char* const refusals[] = {"recipe.parameters.precision must be float32 on this processor",
                                  "recipe.parameters.layout must be plain on this processor"};
  for (size_t i = 0; i < std::size(asked); ++i) {
    v1::Recipe recipe = Recipe(2);
    runtime::SetParameter(recipe, asked[i].first, asked[i].second);
    std::filesystem::remove(frames_.checkpoint_path());
    RecordingJob job;
    const absl::Status resolved = model_->ResolveRecipe(recipe).status();
    const absl::Status trained = Train(recipe, 1, job).status();
    const absl::Status loaded = model_->Load(recipe, weights).status();
    for (const absl::Status& status : {resolved, trained, loaded}) {
      if (SupportsBfloat16()) {
        EXPECT_TRUE(status.ok()) << status;
      } else {
        EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
        EXPECT_THAT(std::string(status.message()), HasSubstr(refusals[i]));
      }
    }
  }
}

TEST_F(DisparityModelTest, PredictsAndJudgesEveryTestFrame) {
  const v1::Recipe recipe = Recipe(2);
  const auto predictor = model_->Load(recipe, Weights(2, 1));
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  std::vector<runtime::TensorMap> outputs;
  for (int64_t i = 0; i < 2; ++i) {
    const auto output = (*predictor)->Predict(frames_.Request(Split::kTest, i), Never);
    ASSERT_TRUE(output.ok()) << output.status();
    EXPECT_EQ(output->at("disparity").shape, (std::vector<int64_t>{128, 384}));
    outputs.push_back(*output);
  }
  RecordingJob job;
  v1::Bootstrap bootstrap;
  bootstrap.set_resample_count(4);
  const auto evaluation =
      model_->Evaluate(frames_.dataset(), Split::kTest, testing::FixedExamples(outputs),
                       metrics::Resampling(bootstrap, 2), job);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_EQ(evaluation->losses(0).loss(), "disparity_mae");
  EXPECT_TRUE(evaluation->losses(0).judged());
  EXPECT_GT(evaluation->losses(0).value(), 0);
  EXPECT_EQ(evaluation->losses(0).resampled_size(), 4);
}

TEST_F(DisparityModelTest, ATrainingWithNothingToLearnFromIsRefused) {
  v1::Recipe recipe = Recipe(3);
  runtime::SetParameter(recipe, "max_depth_m", 1);
  for (const double far_weight : {0.0, 0.5}) {
    runtime::SetParameter(recipe, "far_weight", far_weight);
    RecordingJob job;
    const absl::Status status = Train(recipe, 1, job).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("recipe.parameters.max_depth_m, 1,"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("recipe.parameters.max_disparity, 32;"));
  }
}

TEST_F(DisparityModelTest, APredictionThatIsNotFiniteCannotBeJudged) {
  std::vector<runtime::TensorMap> outputs(2);
  for (runtime::TensorMap& output : outputs) {
    output["disparity"] = runtime::MakeTensor(runtime::Datatype::kFp32, {128, 384});
  }
  // Also where there is no ground truth.
  outputs[1]["disparity"].MutableAs<float>()[5] = NAN;
  RecordingJob job;
  const auto evaluation =
      model_->Evaluate(frames_.dataset(), Split::kTest, testing::FixedExamples(outputs), {}, job);
  EXPECT_TRUE(absl::IsFailedPrecondition(evaluation.status())) << evaluation.status();
  EXPECT_THAT(std::string(evaluation.status().message()),
              HasSubstr(frames_.dataset().ExampleId(Split::kTest, 1)));
  EXPECT_THAT(std::string(evaluation.status().message()), HasSubstr("column 5 is nan"));
}

TEST_F(DisparityModelTest, ThePerfectDisparityHasNoLoss) {
  std::vector<runtime::TensorMap> outputs(2);
  for (int64_t i = 0; i < 2; ++i) {
    const cv::Mat truth = *frames_.dataset().Disparity(Split::kTest, i);
    runtime::Tensor& tensor = outputs[static_cast<size_t>(i)]["disparity"];
    tensor = runtime::MakeTensor(runtime::Datatype::kFp32, {truth.rows, truth.cols});
    std::memcpy(tensor.data.data(), truth.data, tensor.data.size());
  }
  RecordingJob job;
  const auto evaluation =
      model_->Evaluate(frames_.dataset(), Split::kTest, testing::FixedExamples(outputs), {}, job);
  ASSERT_TRUE(evaluation.ok());
  EXPECT_EQ(evaluation->losses(0).value(), 0);
}

TEST_F(DisparityModelTest, AnySizeIsPaddedAndCutBack) {
  const auto predictor = *model_->Load(Recipe(2), Weights(2, 1));
  runtime::TensorMap inputs;
  inputs["left"] = inputs["right"] = runtime::MakeTensor(runtime::Datatype::kUint8, {75, 141, 3});
  EXPECT_EQ(predictor->Predict(inputs, Never)->at("disparity").shape,
            (std::vector<int64_t>{75, 141}));
  inputs["right"] = runtime::MakeTensor(runtime::Datatype::kUint8, {75, 140, 3});
  const auto refused = predictor->Predict(inputs, Never);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("must have one size"));
}

TEST_F(DisparityModelTest, ABatchGivesWhatEachPairGives) {
  const auto predictor = *model_->Load(Recipe(2), Weights(2, 1));
  ASSERT_TRUE(predictor->HasBatches());
  const runtime::TensorMap pairs[] = {frames_.Request(Split::kTest, 0),
                                      frames_.Request(Split::kTest, 1)};
  const auto together = predictor->PredictBatch({&pairs[0], &pairs[1]}, Never);
  ASSERT_TRUE(together.ok()) << together.status();
  for (size_t i = 0; i < 2; ++i) {
    const runtime::Tensor alone = predictor->Predict(pairs[i], Never)->at("disparity");
    const runtime::Tensor& shared = (*together)[i].at("disparity");
    ASSERT_EQ(shared.shape, alone.shape);
    for (int64_t k = 0; k < alone.ElementCount(); ++k) {
      ASSERT_NEAR(shared.As<float>()[k], alone.As<float>()[k], 1e-3);
    }
  }
}

TEST_F(DisparityModelTest, APredictionUsesTheThreadsThatItIsGiven) {
  const std::string weights = Weights(2, 1);
  const auto predict = [&](int threads) {
    const auto predictor = *MakeDisparityModel({"cpu", threads})->Load(Recipe(2), weights);
    const auto outputs = *predictor->Predict(frames_.Request(Split::kTest, 0), Never);
    EXPECT_EQ(at::get_num_threads(), threads);
    return outputs.at("disparity");
  };
  const runtime::Tensor one = predict(1), two = predict(2);
  for (int64_t i = 0; i < one.ElementCount(); ++i) {
    ASSERT_NEAR(two.As<float>()[i], one.As<float>()[i], 1e-3);
  }
}

TEST_F(DisparityModelTest, RefusesRecipesByTheParametersName) {
  const auto fault = [&](const char* name, double value) {
    v1::Recipe recipe;
    recipe.set_name("psmnet-depth-mae");
    runtime::SetParameter(recipe, name, value);
    return std::string(model_->ResolveRecipe(recipe).status().message());
  };
  EXPECT_THAT(fault("steps", 0), HasSubstr("recipe.parameters.steps"));
  EXPECT_THAT(fault("max_disparity", 50), HasSubstr("multiple of 16"));
  EXPECT_THAT(fault("contrast_window", 4), HasSubstr("contrast_window must be odd"));
  EXPECT_THAT(fault("crop_width", 100), HasSubstr("crop_width must be a multiple of 16"));
  EXPECT_THAT(fault("batch", 1), HasSubstr("recipe.parameters.batch"));
}

TEST_F(DisparityModelTest, TruncatedWeightsAreDataLoss) {
  const std::string weights = Weights(2, 1);
  EXPECT_TRUE(
      absl::IsDataLoss(model_->Load(Recipe(2), weights.substr(0, weights.size() - 7)).status()));
}

}  // namespace
}  // namespace backfire::disparity
