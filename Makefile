# reelmill: the build. `make help` lists the targets.
#
# One flat file: switches, tools, sources, rules, tests, upkeep. Objects go to
# build/<variant>/obj, binaries to build/<variant>; `make VARIANT=asan` builds
# another variant beside it.

# ---- switches -------------------------------------------------------------

VARIANT ?= release
# CUDA=1 builds the GPU code (needs nvcc), CUDA=0 leaves it out. Default: as found.
NVCC    ?= $(firstword $(wildcard /usr/local/cuda/bin/nvcc) $(shell command -v nvcc 2>/dev/null))
CUDA    ?= $(if $(NVCC),1,0)
# Compute capabilities that kernels are compiled for; the last one as PTX too,
# which later GPUs compile for themselves.
CUDA_ARCHS ?= 75 80 86 89 90 100 120
# AVDEVICE=1 reads cameras (--live /dev/video0), with libavdevice. Default: as found.
AVDEVICE ?= $(shell pkg-config --exists libavdevice 2>/dev/null && echo 1 || echo 0)
PREFIX  ?= /usr/local
PYTHON  ?= python3
VERSION := 0.1.0

ifeq ($(filter $(VARIANT),release debug asan tsan),)
$(error unknown VARIANT "$(VARIANT)": use release, debug, asan or tsan)
endif
ifeq ($(CUDA)$(NVCC),1)
$(error CUDA=1 needs nvcc: install the CUDA toolkit (./run.sh --setup) or set NVCC)
endif

# ---- tools and flags ------------------------------------------------------

PROTOC_C ?= protoc-c
PKGS     := libavformat libavcodec libavfilter libavutil libswscale
BUILD    := build/$(VARIANT)
OBJ      := $(BUILD)/obj
GEN      := build/gen
# The ONNX schema comes from the system's package (libonnx-dev).
ONNX_PROTO ?= $(firstword $(wildcard /usr/include/onnx/onnx.proto /usr/local/include/onnx/onnx.proto))

CFLAGS_release := -O3
CFLAGS_debug   := -O0
CFLAGS_asan    := -O1 -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
# TSan knows no fences: those there are stand between processes, of which it sees one.
CFLAGS_tsan    := -O1 -fsanitize=thread -Wno-tsan -fno-omit-frame-pointer

WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter \
        -Wno-missing-field-initializers -Wno-format-truncation $(if $(WERROR),-Werror)
# No contraction: the same sums on every instruction set a function is cloned for.
ALLFLAGS = -std=gnu17 -g $(CFLAGS_$(VARIANT)) $(WARN) -fno-math-errno -ffp-contract=off -D_GNU_SOURCE \
           -DREEL_VERSION='"$(VERSION)"' -DREEL_CUDA=$(CUDA) -I. -I$(GEN) -MMD -MP $(INC) $(CFLAGS)
LDALL    = $(filter -fsanitize%,$(CFLAGS_$(VARIANT))) $(LDFLAGS)

AV_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
AV_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

# CUDA: kernels by nvcc, everything else by gcc, which also links: so nothing of
# the C++ library may be asked for. The runtime is linked statically, cuDNN and
# NCCL are loaded when used: the programs start where none of them is there.
CUDA_HOME  := $(patsubst %/bin/nvcc,%,$(realpath $(NVCC)))
CUDA_INC-1 := -isystem $(CUDA_HOME)/include
CUDA_LIB-1 := $(firstword $(wildcard $(addprefix $(CUDA_HOME)/,lib64/libcudart_static.a lib/libcudart_static.a \
                targets/*/lib/libcudart_static.a) /usr/lib/*/libcudart_static.a)) -ldl -lrt
CUDA_LAST  := $(lastword $(CUDA_ARCHS))
# -compress-all: machine code too is kept compressed, an eighth of its size.
# 177: what kernels that are empty before sm_80 (kernels/gpu/mma.cuh) would call is unused there.
NVCC_FLAGS  = -O3 -std=c++17 -I. -diag-suppress 177 -Xfatbin -compress-all -Xcompiler -fno-threadsafe-statics,-fno-exceptions,-fno-rtti,-fPIC \
              $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) \
              -gencode arch=compute_$(CUDA_LAST),code=compute_$(CUDA_LAST)

LIBS_base        := -lzmq -lconfig -lpthread -lm
LIBS_common      := $(CUDA_LIB-$(CUDA)) $(LIBS_base)
# No GPU driver in the coordinator.
LIBS_coordinator := $(LIBS_base)
LIBS_decoder     := $(if $(filter 1,$(AVDEVICE)),$(shell pkg-config --libs libavdevice 2>/dev/null)) $(AV_LIBS) $(LIBS_common)
LIBS_aggregator  := $(AV_LIBS) $(LIBS_common)
LIBS_worker      := -lprotobuf-c -ldl $(LIBS_common)
LIBS_kernels     := $(LIBS_common)

# What is needed and not there is said in one line, before a compiler stumbles over it.
HAVE    = $(shell command -v $(1) 2>/dev/null)
MISSING := $(if $(filter-out help deps clean format lint,$(or $(MAKECMDGOALS),all)),$(strip \
             $(if $(call HAVE,$(firstword $(filter-out ccache,$(CC)))),,a C compiler ($(CC))) \
             $(if $(call HAVE,pkg-config),$(shell for p in $(PKGS) libzmq libconfig libprotobuf-c; do \
                 pkg-config --exists $$p || echo $$p; done),pkg-config) \
             $(if $(call HAVE,$(PROTOC_C)),,$(PROTOC_C)) $(if $(ONNX_PROTO),,onnx.proto (libonnx-dev))))
ifneq ($(MISSING),)
$(error missing: $(MISSING). To install what is missing: ./run.sh --setup)
endif

# ---- sources --------------------------------------------------------------

STAGES := coordinator decoder worker aggregator

# A build has x.c or x_stub.c of what needs CUDA.
GPU_MODULES := common/cuda common/mem_cuda decoder/nvdec aggregator/nvenc worker/device/cuda
GPU_MODULES += worker/backend/cudnn/plan/plan worker/backend/cudnn/exec_device worker/backend/cudnn/launch
GPU_OUT-0   := $(addsuffix .c,$(GPU_MODULES) $(addprefix worker/backend/cudnn/,api plan/graph plan/engine))
GPU_OUT-1   := $(addsuffix _stub.c,$(GPU_MODULES))

SRC_common      := $(wildcard common/*.c)
SRC_kernels     := $(wildcard kernels/*.c kernels/*/*.c)
SRC_coordinator := $(wildcard coordinator/*.c coordinator/*/*.c)
SRC_decoder     := $(wildcard decoder/*.c)
SRC_aggregator  := $(wildcard aggregator/*.c aggregator/*/*.c)
SRC_worker      := $(wildcard worker/*.c worker/*/*.c worker/*/*/*.c worker/*/*/*/*.c)

# Everything of a room but its main, as an archive that tests can link too.
objs = $(patsubst %.c,$(OBJ)/%.o,$(filter-out $(1)/main.c $(GPU_OUT-$(CUDA)),$(SRC_$(1))))
OBJS_common      := $(call objs,common)
OBJS_kernels     := $(call objs,kernels)
OBJS_kernels-1   := $(patsubst %.cu,$(OBJ)/%.cu.o,$(wildcard kernels/gpu/*.cu))
OBJS_kernels     += $(OBJS_kernels-$(CUDA))
OBJS_coordinator := $(call objs,coordinator)
OBJS_decoder     := $(call objs,decoder)
OBJS_aggregator  := $(call objs,aggregator)
OBJS_worker      := $(call objs,worker) $(OBJ)/gen/onnx.pb-c.o

BINS := $(addprefix $(BUILD)/,$(STAGES))

# ---- build ----------------------------------------------------------------

.PHONY: all banner
all: banner $(BINS)

banner:
	@echo "reelmill $(VERSION), variant $(VARIANT), CUDA $(if $(filter 1,$(CUDA)),on ($(NVCC)),off)"

$(OBJ)/decoder/%.o $(OBJ)/aggregator/%.o: INC = $(AV_CFLAGS) $(CUDA_INC-$(CUDA))
$(OBJ)/decoder/demux_live.o: INC += -DREEL_AVDEVICE=$(AVDEVICE)
$(OBJ)/common/cuda.o $(OBJ)/common/mem_cuda.o $(OBJ)/worker/%.o: INC = $(CUDA_INC-$(CUDA))
$(OBJ)/kernels/%_base.o: WARN += -Wno-psabi # GCC's notes on vectors, none of which crosses a file
$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -c $< -o $@
# Kernels are made anew when they are asked for other compute capabilities.
ARCH_MARK := $(OBJ)/cuda-archs-$(subst $(eval) ,-,$(strip $(CUDA_ARCHS)))
$(ARCH_MARK):
	@mkdir -p $(@D); rm -f $(OBJ)/cuda-archs-*; touch $@
$(OBJ)/%.cu.o: %.cu $(ARCH_MARK)
	@mkdir -p $(@D)
	$(NVCC) $(NVCC_FLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

# Archives hold one half or the other, and command.o is the one object in both
# builds that says REEL_CUDA: switching between CUDA=0 and CUDA=1 in one folder
# makes them anew.
CUDA_MARK := $(OBJ)/cuda-$(CUDA)
$(CUDA_MARK):
	@mkdir -p $(@D); rm -f $(OBJ)/cuda-[01]; touch $@
$(OBJ)/coordinator/command.o: $(CUDA_MARK)

$(GEN)/onnx.pb-c.c $(GEN)/onnx.pb-c.h &: $(ONNX_PROTO)
	@mkdir -p $(GEN)
	$(PROTOC_C) --proto_path=$(dir $(ONNX_PROTO)) --c_out=$(GEN) $(ONNX_PROTO)
$(OBJ)/gen/onnx.pb-c.o: $(GEN)/onnx.pb-c.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -c $< -o $@
$(OBJS_worker): | $(GEN)/onnx.pb-c.h

define archive
$(OBJ)/lib$(1).a: $$(OBJS_$(1)) $(CUDA_MARK)
	@rm -f $$@; mkdir -p $$(@D)
	ar rcs $$@ $$(OBJS_$(1))
endef
$(foreach r,common kernels $(STAGES),$(eval $(call archive,$(r))))

# A binary: its main, its room, then the rooms below it.
define binary
$(BUILD)/$(1): $(OBJ)/$(1)/main.o $(OBJ)/lib$(1).a $(OBJ)/libkernels.a $(OBJ)/libcommon.a
	$$(CC) $$(LDALL) $$^ $$(LIBS_$(1)) -o $$@
endef
$(foreach s,$(STAGES),$(eval $(call binary,$(s))))

# ---- tests ----------------------------------------------------------------
# tests/unit/<room>/test_*.c links that room; see tests/README.md.

TEST_SRC  := $(wildcard tests/unit/*/test_*.c)
TEST_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))

# Stands for NCCL where devices are the host.
FAKE_NCCL := $(BUILD)/tests/process/libfake_nccl.so
$(FAKE_NCCL): tests/process/fake_nccl.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O1 $(filter-out -Wmissing-prototypes,$(WARN)) -shared -fPIC $< -o $@
$(BUILD)/tests/unit/worker/test_team: | $(FAKE_NCCL)

.PHONY: tests tests-threads test test-long
tests: all $(TEST_BINS) $(FAKE_NCCL)
# Those whose code has threads, for TSan. (Encoders' threads are FFmpeg's.)
tests-threads: $(addprefix $(BUILD)/tests/unit/,common/test_bus common/test_ring worker/test_bands worker/test_pool \
                 worker/test_backend_onednn aggregator/test_lane decoder/test_process)

# The .cu files compiled for the CPU by tests/cuda_cpu: linked by the tests of
# kernels and of surfaces, in front of those that nvcc makes.
CUDA_CPU_SRC  := $(wildcard kernels/gpu/*.cu tests/cuda_cpu/*.cu)
CUDA_CPU_OBJS := $(patsubst %.cu,$(OBJ)/cuda_cpu/%.o,$(CUDA_CPU_SRC)) $(OBJ)/tests/cuda_cpu/fibers.o
CXXWARN := -Wall -Wextra -Wno-unused-parameter -Wno-unused-function -Wno-unused-variable -Wno-unknown-pragmas $(if $(WERROR),-Werror)
$(OBJ)/cuda_cpu/%.o: %.cu
	@mkdir -p $(@D)
	$(CXX) -x c++ -std=gnu++17 -g $(CFLAGS_$(VARIANT)) $(CXXWARN) -fno-exceptions -fno-rtti -fno-threadsafe-statics \
	    -ffp-contract=off -Itests/cuda_cpu -I. -MMD -MP -c $< -o $@
$(OBJ)/libcuda_cpu.a: $(CUDA_CPU_OBJS)
	@rm -f $@
	ar rcs $@ $^

room = $(word 3,$(subst /, ,$(1)))
test_libs = $(if $(filter kernels,$(call room,$(1)))$(filter %/test_nvenc.c,$(1)),$(OBJ)/libcuda_cpu.a)
define unit_test
$(BUILD)/$(basename $(1)): $(OBJ)/$(basename $(1)).o $(call test_libs,$(1)) $(OBJ)/lib$(call room,$(1)).a $(OBJ)/libkernels.a $(OBJ)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDALL) $$^ $$(LIBS_$(call room,$(1))) -o $$@
endef
$(foreach t,$(TEST_SRC),$(eval $(call unit_test,$(t))))
$(OBJ)/tests/unit/decoder/%.o $(OBJ)/tests/unit/aggregator/%.o: INC = $(AV_CFLAGS) $(CUDA_INC-$(CUDA))
$(patsubst %.c,$(OBJ)/%.o,$(filter tests/unit/worker/%,$(TEST_SRC))): | $(GEN)/onnx.pb-c.h

test: tests
	@tests/run --build $(BUILD)
# Every clip and model of the test data, colours, faults, runs drawn at random, bulk: an hour or so.
test-long: tests
	@REELMILL_TEST_SECONDS=7200 tests/run --build $(BUILD) --only long

# ---- planning ---------------------------------------------------------------
# cuDNN plans for GPUs that are not here, from their properties; a stub of the
# driver lets its run-time compiled engines build. `make plan-table` prints what
# every pattern gets on every GPU (docs/gpu-plans.md keeps it).

PLAN_STUB := $(BUILD)/tests/planning/libcuda.so.1
PLAN_DEVICES := $(foreach d,h200 h100 a100 b200 t4 rtx3090 rtx4090 rtx5090,tests/planning/devices/$(d).json)

# The models whose patterns the second table shows.
PLAN_MODELS  ?= models/upscale2x.onnx $(wildcard ../shared/testdata/models/*.onnx)

.PHONY: plan-table
$(PLAN_STUB): tests/planning/libcuda_stub.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O1 $(WARN) -shared -fPIC -Wl,-soname,libcuda.so.1 $< -o $@
$(BUILD)/tests/unit/worker/test_cudnn_plan: | $(PLAN_STUB)
$(BUILD)/tests/planning/plan_table: $(OBJ)/tests/planning/plan_table.o $(OBJ)/libworker.a $(OBJ)/libkernels.a $(OBJ)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDALL) $^ $(LIBS_worker) -o $@
test-long: $(BUILD)/tests/planning/plan_table $(PLAN_STUB)
plan-table: $(BUILD)/tests/planning/plan_table $(PLAN_STUB)
	@$< $(PLAN_STUB) $(PLAN_DEVICES)
	@$(if $(PLAN_MODELS),echo; $< $(PLAN_STUB) $(PLAN_DEVICES) -- $(PLAN_MODELS))

# ---- upkeep ---------------------------------------------------------------

OURS = $(shell git ls-files '*.c' '*.h' '*.cu' '*.cuh')

.PHONY: deps install lint format eval-upscaler clean help
deps:
	./run.sh --setup

# The tree that run.sh expects, without what is only needed to build or train.
HOME_DIR = $(DESTDIR)$(PREFIX)/lib/reelmill
install: all
	install -d "$(HOME_DIR)/build/release" "$(HOME_DIR)/models/demo" "$(HOME_DIR)/configs" "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 $(BINS) "$(HOME_DIR)/build/release"
	install -m 755 run.sh "$(HOME_DIR)/run.sh"
	install -m 644 configs/*.cfg "$(HOME_DIR)/configs"
	install -m 644 models/*.onnx models/README.md "$(HOME_DIR)/models"
	install -m 644 models/demo/demo.mp4 "$(HOME_DIR)/models/demo"
	ln -sf ../lib/reelmill/run.sh "$(DESTDIR)$(PREFIX)/bin/reelmill"

lint:
	tools/lint

# Version 14, as tools/lint checks: others break lines otherwise.
CLANG_FORMAT ?= $(shell command -v clang-format-14 || echo clang-format)
format:
	$(CLANG_FORMAT) -i $(OURS) # not the .inc: bodies whose macros it cannot read

# Quality of the bundled upscalers as they are used (models/README.md).
eval-upscaler: all
	$(PYTHON) models/train/evaluate.py

clean:
	rm -rf build

help:
	@echo "make                 release binaries in build/release"
	@echo "make VARIANT=asan    another variant: release, debug, asan, tsan"
	@echo "make CUDA=0          without GPU code (default: as nvcc is found)"
	@echo "make AVDEVICE=0      without cameras (default: as libavdevice is found)"
	@echo "make CUDA_ARCHS='90' kernels for these compute capabilities only"
	@echo "make test            build and run all tests"
	@echo "make test-long       every clip and model of the test data, faults, chaos, bulk (an hour)"
	@echo "make test-gpu        what needs a GPU (skips without one)"
	@echo "make bundle          one archive for machines without packages (BUNDLE_TESTS=1: with test-gpu)"
	@echo "make bench-gpu       networks on a GPU beside PyTorch and the GPU's own limits"
	@echo "make plan-table      cuDNN's engine for every pattern on every GPU"
	@echo "make bench           speed beside ffmpeg, bare ZeroMQ, each stage alone: a table (BENCH=quick: one minute)"
	@echo "make deps            install what is needed (Debian, Ubuntu)"
	@echo "make install PREFIX= install to PREFIX/lib/reelmill and PREFIX/bin"
	@echo "make lint            dependency rules, headers, shell scripts, format"
	@echo "make format          clang-format on all sources"
	@echo "make eval-upscaler   the bundled upscalers through run.sh against bicubic"
	@echo "make docs            docs/operators.md and docs/options.md from their tables"
	@echo "make conformance     ONNX's backend node tests (CONFORMANCE_DIRS=\"dir ...\" for others)"
	@echo "make conformance-cases  cases of our own against ONNX's reference implementation"
	@echo "make fuzz-ops        operators and networks drawn at random, against ONNX Runtime"
	@echo "make fuzz            libFuzzer over model import (FUZZ_SECONDS=600)"
	@echo "make compare-models  whole models and their detections against ONNX Runtime"
	@echo "make bench-models    the CPU executor beside ONNX Runtime on models"
	@echo "make clean           remove build/"

# ---- docs -----------------------------------------------------------------

.PHONY: docs
docs: $(BUILD)/tests/unit/worker/test_operators_doc $(BUILD)/tests/unit/common/test_options_doc
	$< --print > docs/operators.md
	$(BUILD)/tests/unit/common/test_options_doc --print > docs/options.md

# ---- conformance ----------------------------------------------------------
# ONNX's backend node tests: through the interpreter as imported, then through
# the passes and BACKEND. CONFORMANCE_DIRS="dir ..." names other folders.

CONFORMANCE_DIRS ?= $(firstword $(wildcard ../shared/testdata/onnx_node) \
                      $(shell $(PYTHON) -c 'import os, onnx; print(os.path.dirname(onnx.__file__) + "/backend/test/data/node")' 2>/dev/null))
BACKEND ?= onednn
PRECISION ?= auto

.PHONY: conformance
$(BUILD)/tests/conformance/conformance: $(OBJ)/tests/conformance/conformance.o $(OBJ)/libworker.a $(OBJ)/libkernels.a $(OBJ)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDALL) $^ $(LIBS_worker) -o $@
conformance: $(BUILD)/tests/conformance/conformance
	@$< --raw $(CONFORMANCE_DIRS) > $(BUILD)/conformance-raw.txt; raw=$$?; \
	 echo "interpreter: $$(tail -1 $(BUILD)/conformance-raw.txt) (table in $(BUILD)/conformance-raw.txt)"; \
	 $< --backend $(BACKEND) --precision $(PRECISION) $(CONFORMANCE_DIRS) && exit $$raw

# Operators and small networks drawn at random, against ONNX Runtime. PYTHON
# needs onnx and onnxruntime.
FUZZ_OPS_CASES ?= 2000
FUZZ_OPS_SEED  ?= 1

# Cases that ONNX's set leaves out, by the onnx package's reference implementation.
.PHONY: conformance-cases
conformance-cases: $(BUILD)/tests/conformance/conformance
	@rm -rf $(BUILD)/conformance-cases
	@$(PYTHON) tests/conformance/make_cases.py $(BUILD)/conformance-cases && $< $(BUILD)/conformance-cases

.PHONY: fuzz-ops
fuzz-ops: $(BUILD)/tests/conformance/conformance
	@$(PYTHON) tests/conformance/fuzz_ops.py --conformance $< --cases $(FUZZ_OPS_CASES) --seed $(FUZZ_OPS_SEED) \
	    --backend $(BACKEND) --precision $(PRECISION) --keep build/fuzz-ops
	@$(PYTHON) tests/conformance/fuzz_ops.py --conformance $< --cases $(FUZZ_OPS_CASES) --seed $(FUZZ_OPS_SEED) --nets \
	    --backend $(BACKEND) --precision $(PRECISION) --keep build/fuzz-ops
	@$(PYTHON) tests/conformance/fuzz_quant.py --conformance $< --cases $(FUZZ_OPS_CASES) --seed $(FUZZ_OPS_SEED) \
	    --backend $(BACKEND) --precision $(PRECISION) --keep build/fuzz-ops

# ---- fuzz -----------------------------------------------------------------
# libFuzzer over import and passes, FUZZ_SECONDS long, from the models of the
# node tests where they are there. Finds are kept in build/fuzz.

FUZZ_SECONDS ?= 600
FUZZ_CLANG   ?= clang
FUZZ_SRC     := tests/fuzz/fuzz_import.c $(addprefix common/,err.c narrow.c secret.c tensor.c) $(wildcard $(addprefix kernels/,gemm.c math.c nms.c resize.c)) \
                $(wildcard worker/onnx/*.c worker/onnx/ops/*.c worker/graph/*.c)

.PHONY: fuzz
build/fuzz/fuzz_import: $(FUZZ_SRC) $(GEN)/onnx.pb-c.c
	@mkdir -p $(@D)
	$(FUZZ_CLANG) -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -w \
	    -D_GNU_SOURCE -DREEL_VERSION='"$(VERSION)"' -DREEL_CUDA=0 -I. -I$(GEN) $^ -lprotobuf-c -lpthread -lm -o $@
fuzz:
	@echo 'int LLVMFuzzerTestOneInput(const char *p, long n); int LLVMFuzzerTestOneInput(const char *p, long n) { return 0; }' | \
	 $(FUZZ_CLANG) -x c -fsanitize=fuzzer,address - -o /dev/null 2>/dev/null || \
	 { echo "skipped: clang with libFuzzer is missing (install clang and libclang-rt-dev)"; exit 0; }; \
	 $(MAKE) --no-print-directory build/fuzz/fuzz_import && mkdir -p build/fuzz/corpus build/fuzz/seeds && \
	 for d in $(firstword $(CONFORMANCE_DIRS))/*/; do \
	     cp "$$d/model.onnx" "build/fuzz/seeds/$$(basename $$d).onnx" 2>/dev/null; done; \
	 build/fuzz/fuzz_import -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=3000 -max_len=65536 \
	     -artifact_prefix=build/fuzz/ -print_final_stats=1 build/fuzz/corpus build/fuzz/seeds

REELMILL_TESTDATA ?= ../shared/testdata

# ---- compare-models ---------------------------------------------------------
# Every model of the test data against ONNX Runtime on frames of its clips, and
# the detectors' objects from the whole pipeline. PYTHON needs numpy, onnx and
# onnxruntime; about five minutes.

COMPARE_CLIP ?= $(REELMILL_TESTDATA)/clips/traffic_motorbike_720p.mp4

.PHONY: compare-models
compare-models: all $(BUILD)/tests/conformance/conformance
	@test -d $(REELMILL_TESTDATA)/models || { echo "no test data: set REELMILL_TESTDATA"; exit 77; }
	$(PYTHON) tests/models/compare_ort.py --conformance $(BUILD)/tests/conformance/conformance --backend $(BACKEND) \
	    --clip $(COMPARE_CLIP) $(REELMILL_TESTDATA)/models
	$(PYTHON) tests/models/compare_detect.py $(REELMILL_TESTDATA)/models $(REELMILL_TESTDATA)/clips

# ---- bench-models ----------------------------------------------------------
# The CPU executor beside ONNX Runtime on every model of the test data (or
# MODELS="file.onnx folder ..."), on 1 and 2 threads. PYTHON needs onnxruntime.

MODELS ?= $(wildcard $(REELMILL_TESTDATA)/models)
BENCH_THREADS ?= 1,2
BENCH_ROUNDS ?= 3

.PHONY: bench-models
bench-models: $(BUILD)/worker
	@test -n "$(MODELS)" || { echo "no models: set MODELS or REELMILL_TESTDATA"; exit 77; }
	@$(PYTHON) tests/bench/bench_models.py --worker $(BUILD)/worker --threads $(BENCH_THREADS) \
	    --rounds $(BENCH_ROUNDS) $(MODELS)

# ---- bench -----------------------------------------------------------------
# The pipeline against its stages, ffmpeg and the pipe that people write, as
# ratios within one run: a Markdown table, budgets met or not.

BENCH       ?= full
BENCH_ARGS  ?=

.PHONY: bench
$(BUILD)/tests/bench/hops: tests/bench/hops.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -Wall -Wextra -D_GNU_SOURCE $< -lzmq -o $@
bench: all $(BUILD)/tests/bench/hops
	@$(PYTHON) tests/bench/bench.py --build $(BUILD) $(if $(filter quick,$(BENCH)),--quick) $(BENCH_ARGS)

# ---- test-gpu ---------------------------------------------------------------
# What needs a GPU: contract suites over device memory and whatever else lies in
# tests/gpu/test_*.c (linked with the worker's room). Skips where there is none.

GPU_TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/gpu/test_*.c))

.PHONY: test-gpu test-gpu-programs
$(BUILD)/tests/gpu/%: $(OBJ)/tests/gpu/%.o $(OBJ)/libworker.a $(OBJ)/libkernels.a $(OBJ)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDALL) $^ $(LIBS_worker) -o $@
# With whole operators through cuDNN, and what cuDNN makes of the GPU.
test-gpu-programs: $(GPU_TESTS) $(BUILD)/tests/conformance/conformance $(BUILD)/tests/planning/plan_table
test-gpu: all $(GPU_TESTS)
	@tests/run --build $(BUILD) --only gpu

# ---- bundle -----------------------------------------------------------------
# One relocatable archive for machines without packages; see docs/bundle.md.
# BUNDLE_TESTS=1 adds the programs of test-gpu.

.PHONY: bundle
bundle:
	@BUNDLE_TESTS=$(BUNDLE_TESTS) nice -n 5 tools/bundle

# ---- bench-gpu --------------------------------------------------------------
# Networks alone on a GPU, beside PyTorch and beside the floor. BENCH_GPU passes
# options ("--budget 300 --only srvgg").

.PHONY: bench-gpu
bench-gpu: $(BUILD)/worker
	@$(PYTHON) tests/gpu/bench_gpu.py --worker $(BUILD)/worker $(BENCH_GPU) models/upscale2x.onnx $(MODELS) || [ $$? = 77 ]

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
