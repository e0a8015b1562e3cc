// Writes the colour mask of one frame: segment model.onnx frame.ppm mask.ppm
// Both pictures are binary PPMs (P6), the frame of the size that the network sees. docs/embedding.md says more.

#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

using Bytes = std::vector<std::uint8_t>;
using Color = std::array<std::uint8_t, 3>;

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

// Reads the next number of a PPM's header, past white space and comments.
std::int64_t read_number(std::istream& file) {
  while ((file >> std::ws).peek() == '#') file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  std::int64_t number = -1;
  file >> number;
  return number;
}

// Returns (height, width, 3) uint8 RGB.
Bytes read_frame(const std::string& path, std::int64_t height, std::int64_t width) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path + " cannot be read: check the path and its permissions");
  char magic[2] = {};
  file.read(magic, 2);
  if (magic[0] != 'P' || magic[1] != '6') fail(path + " is not a binary PPM (P6)");
  const auto found_width = read_number(file), found_height = read_number(file), maximum = read_number(file);
  if (!file || maximum != 255) fail(path + " is damaged, or has samples of more than 8 bits");
  if (found_width != width || found_height != height) {
    fail(path + " is " + std::to_string(found_width) + "x" + std::to_string(found_height) +
         ", but the network sees " + std::to_string(width) + "x" + std::to_string(height) + ": resize it before");
  }
  file.get();  // one white space ends the header
  Bytes frame(static_cast<std::size_t>(height * width * 3));
  file.read(reinterpret_cast<char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
  if (!file) fail(path + " is cut short");
  return frame;
}

void write_mask(const std::string& path, const Bytes& mask, std::int64_t height, std::int64_t width) {
  const std::string part = path + ".part";
  std::ofstream file(part, std::ios::binary);
  file << "P6\n" << width << " " << height << "\n255\n";
  file.write(reinterpret_cast<const char*>(mask.data()), static_cast<std::streamsize>(mask.size()));
  file.close();
  // a mask appears whole or not at all
  if (!file || std::rename(part.c_str(), path.c_str()) != 0) fail(path + " cannot be written");
}

// Returns the class colours in the order of the class indices. cook-export sorts the keys of the contract's JSON, so
// that "version" is the last one. Quotes inside of a class name are escaped, and cannot look like a key.
std::vector<Color> read_colors(const Ort::Session& session, const std::string& path) {
  Ort::AllocatorWithDefaultOptions allocator;
  const auto text = session.GetModelMetadata().LookupCustomMetadataMapAllocated("cookseg", allocator);
  if (!text) fail(path + " carries no cookseg contract: it was not made by cook-export");
  const std::string contract(text.get());
  if (!std::regex_search(contract, std::regex("\"version\": 1\\}$"))) fail(path + " has not a contract of version 1");
  const std::regex color("\"color\": \\[(\\d+), (\\d+), (\\d+)\\]");
  std::vector<Color> colors;
  for (std::sregex_iterator at(contract.begin(), contract.end(), color), end; at != end; ++at) {
    Color rgb{};
    for (std::size_t i = 0; i < 3; ++i) rgb[i] = static_cast<std::uint8_t>(std::stoi((*at)[i + 1].str()));
    colors.push_back(rgb);
  }
  return colors;
}

void run(const std::string& model, const std::string& frame_path, const std::string& mask_path) {
  setenv("ORT_DISABLE_TELEMETRY", "1", 0);  // else onnxruntime collects and sends what it sees of its use; POSIX
  Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "cookseg");
  Ort::SessionOptions options;  // SetIntraOpNumThreads, AppendExecutionProvider_CUDA, ...
  Ort::Session session(env, model.c_str(), options);
  const auto colors = read_colors(session, model);

  const auto input = session.GetInputTypeInfo(0);  // keeps alive what the next line refers to
  auto shape = input.GetTensorTypeAndShapeInfo().GetShape();  // batch (-1: any), height, width, 3
  if (shape.size() != 4) fail(model + " does not take frames: it was not made by cook-export");
  shape[0] = 1;
  const auto height = shape[1], width = shape[2];
  Bytes frame = read_frame(frame_path, height, width);

  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const auto tensor =
      Ort::Value::CreateTensor<std::uint8_t>(memory, frame.data(), frame.size(), shape.data(), shape.size());
  // "scores", (1, C, height, width) uint8, are the probabilities times 255, for those who ask for them too.
  const char* inputs[] = {"frames"};
  const char* outputs[] = {"classes"};
  const auto answers = session.Run(Ort::RunOptions{nullptr}, inputs, &tensor, 1, outputs, 1);
  const auto* classes = answers[0].GetTensorData<std::uint8_t>();  // (1, height, width)

  Bytes mask;
  mask.reserve(frame.size());
  for (std::int64_t pixel = 0; pixel < height * width; ++pixel) {
    const Color& rgb = colors.at(classes[pixel]);
    mask.insert(mask.end(), rgb.begin(), rgb.end());
  }
  write_mask(mask_path, mask, height, width);
}

int main(int count, char* arguments[]) {
  try {
    if (count != 4) fail("usage: segment model.onnx frame.ppm mask.ppm");
    run(arguments[1], arguments[2], arguments[3]);
  } catch (const std::exception& error) {  // Ort::Exception is one too
    std::cerr << "Error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
