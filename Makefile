# shim: `make` builds ./shim and installs nothing; `make help` lists the rest.

TLS     = 1
OBJECTS = shim.o life.o starting.o stopping.o finishing.o occasion.o app.o setup.o options.o commandline.o usage.o compat.o voices.o scan.o explain.o signals.o autoreap.o children.o spawn.o \
	execerror.o terminal.o forward.o procs.o privs.o caps.o accounts.o descriptors.o outcome.o hooks.o hook_output.o step.o waits.o watcher.o messages.o drain_now.o notify.o notify_server.o \
	ready.o workers.o status.o dialogue.o health.o health_answer.o health_metrics.o health_client.o health_prober.o drain.o \
	owners.o sockets.o sockets_parse.o target.o probe.o wait.o net.o resolve.o http.o \
	http_server.o termlog.o termtext.o termjson.o oom.o out.o install.o paths.o log.o util.o format.o parse.o names.o \
	logging.o logs.o records.o fold.o jsonline.o \
	seal.o $(SEAL_OBJECTS_$(SECCOMP)) \
	$(TLS_OBJECTS_$(TLS))
TLS_OBJECTS_0 = tls_none.o
SEAL_OBJECTS_0 = seal_none.o
SEAL_OBJECTS_1 = seal_rules.o
TLS_OBJECTS_1 = tls.o tls_ca.o tls_name.o tls_trust.o $(if $(filter musl,$(LIBC)),tls_musl.o)
TLS_LIBS_1    = $(TLS_LIBS_$(LIBC))
TLS_LIBS_musl = build/bearssl/libbearssl.a
TLS_LIBS_glibc = -lbearssl

LIBC    = musl
CC      = gcc
PREFIX  = /usr/local
BUILD   = build/$(LIBC)$(if $(filter 0,$(TLS)),-notls)

# The filters are for musl's system calls, on the machines that scripts/seccomp_gen.c knows.
SECCOMP = $(if $(filter musl,$(LIBC)),$(if $(filter x86_64-% aarch64-%,$(MACHINE)),1,0),0)
MACHINE := $(shell $(CC) -dumpmachine)
HOSTCC  = gcc

# `make V=1` shows the commands.
Q = $(if $(V),,@)

WARN = -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wwrite-strings -Wcast-qual -Wcast-align \
	-Wpointer-arith -Wundef -Wformat=2 -Wvla -Wswitch-enum -Wnull-dereference \
	-Wdouble-promotion -Werror
BASE = -std=c11 -D_GNU_SOURCE $(WARN)

# musl: a static PIE. musl-gcc's own -static-pie links dynamically, so the pieces are named here.
# CC may be a cross compiler, in a tree of its own (aarch64-linux-gnu-gcc; musl-dev:arm64 and libbearssl-dev:arm64).
TRIPLET      := $(shell $(CC) -print-multiarch)
MUSL_INCLUDE = $(firstword $(wildcard /usr/include/$(subst gnu,musl,$(TRIPLET)) /usr/local/musl/include))
MUSL_LIB     = $(firstword $(wildcard /usr/lib/$(subst gnu,musl,$(TRIPLET)) /usr/local/musl/lib))
# Smallest first: gcc before 12 has no -Oz.
SMALL       := $(shell echo 'int x;' | $(CC) -Oz -x c -c -o /dev/null - 2>/dev/null && echo -Oz || echo -Os)
CFLAGS_musl  = $(SMALL) -fPIE -fstack-protector-strong -fomit-frame-pointer -ffunction-sections \
	-fdata-sections -fno-asynchronous-unwind-tables -nostdinc -isystem $(MUSL_INCLUDE) \
	-isystem $(shell $(CC) -print-file-name=include) -isystem build/linux-headers
# Each byte of a log goes through it.
FAST_records.o = -Os
FAST_jsonline.o = -O2
LINK_musl    = $(CC) -nostdlib -static-pie $(LDFLAGS) \
	-Wl,-z,relro,-z,now,-z,noexecstack,-z,noseparate-code,--gc-sections,--build-id=none \
	-Wl,-T,scripts/shim.ld -L$(BUILD) -o $@ \
	$(MUSL_LIB)/rcrt1.o $(MUSL_LIB)/crti.o $(filter %.o,$^) $(TLS_LIBS_$(TLS)) -Wl,--start-group $(MUSL_LIB)/libc.a -lgcc \
	-Wl,--end-group $(MUSL_LIB)/crtn.o
CFLAGS_glibc = -O1 -g -fstack-protector-strong
LINK_glibc   = $(CC) $(CFLAGS_glibc) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(TLS_LIBS_$(TLS))

all: shim

# ./shim is whatever was built last: with TLS or without, musl or glibc.
shim: $(BUILD)/shim FORCE
	@cp $< $@.new
	@if [ $(LIBC) = musl ]; then $$($(CC) -print-prog-name=strip) $@.new; fi
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# What scripts/shim.ld puts first.
LAYOUT_musl = scripts/shim.ld $(foreach part,hot warm,$(BUILD)/$(part)_text.ld $(BUILD)/$(part)_rodata.ld)
as_sections = sed 's/^libc:\(.*\)/*libc.a:\1.lo(.$* .$*.*)/; t; s/.*/*(.$*.& .$*.&.*)/' $< >$@
$(BUILD)/hot_%.ld: scripts/hot.txt
	@mkdir -p $(@D)
	@$(as_sections)
$(BUILD)/warm_%.ld: scripts/warm.txt
	@mkdir -p $(@D)
	@$(as_sections)

$(BUILD)/shim: $(OBJECTS:%=$(BUILD)/%) $(LAYOUT_$(LIBC)) | $(TLS_LIBS_musl)
	@echo "  LD    $@"
	$(Q)$(LINK_$(LIBC))

# The shells' completion, from the table of options; nothing of it is in shim.
COMPLETIONS = build/completions/shim.bash build/completions/_shim build/completions/shim.fish
$(BUILD)/completion: $(BUILD)/scripts/completion.o $(BUILD)/options.o $(BUILD)/http.o $(BUILD)/util.o $(BUILD)/format.o $(BUILD)/parse.o $(BUILD)/names.o
	$(Q)$(LINK_$(LIBC))

$(COMPLETIONS): $(BUILD)/completion
	@mkdir -p $(@D)
	@$< $(subst _shim,zsh,$(subst shim.,,$(@F))) >$@.new && mv $@.new $@

build/seccomp_gen: scripts/seccomp_gen.c
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -O1 -o $@ $< -lseccomp

build/seal_rules.h: build/seccomp_gen
	$(Q)$< header >$@.new && mv $@.new $@

$(BUILD)/seal_rules.o build/unit/seal_rules.o build/fuzz/seal_rules.o: build/seal_rules.h

# Unwind tables, which nothing reads in C, are 11 KiB of the library.
build/bearssl/libbearssl.a:
	@mkdir -p $(@D)
	$(Q)$$($(CC) -print-prog-name=objcopy) -R .eh_frame $$($(CC) -print-file-name=libbearssl.a) $@

$(BUILD)/%.o: %.c | build/linux-headers
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(BASE) $(CFLAGS_$(LIBC)) $(FAST_$(@F)) $(CFLAGS) -I. -MMD -c -o $@ $<

# musl brings neither kernel headers nor BearSSL's; of the system's only these are let in.
build/linux-headers:
	@mkdir -p $@
	@for f in /usr/include/bearssl*.h; do ln -sfn $$f $@/; done
	@for d in linux asm-generic; do ln -sfn /usr/include/$$d $@/$$d; done
	@ln -sfn $$(dirname $$(ls -d /usr/include/$(TRIPLET)/asm/unistd.h \
		/usr/include/asm/unistd.h 2>/dev/null | head -n 1)) $@/asm

# --- tests --------------------------------------------------------------------------------------

PACKAGES_BUILD = gcc make musl-tools linux-libc-dev libbearssl-dev libseccomp-dev
PACKAGES_CHECK = $(PACKAGES_BUILD) check libcap-dev pkg-config python3 strace util-linux procps mandoc \
	shellcheck tini dumb-init catatonit busybox-static docker.io runc podman \
	nginx-light openssl iproute2 python3-yaml wrk zsh fish libsystemd-dev systemd \
	nodejs openjdk-17-jdk-headless prometheus
PACKAGES_REAL  = $(PACKAGES_BUILD) python3 util-linux nginx-light apache2 postgresql redis-server \
	gunicorn uvicorn nodejs openjdk-17-jdk-headless haproxy caddy php-fpm celery python3-redis \
	uwsgi-core uwsgi-plugin-python3 puma unicorn \
	sudo cron supervisor tmux gdb
PACKAGES_DEMO  = $(PACKAGES_BUILD) python3 util-linux
PACKAGES_FUZZ  = $(PACKAGES_BUILD) clang libclang-rt-dev
PACKAGES_LINT  = $(PACKAGES_BUILD) check libcap-dev clang libclang-rt-dev clang-tidy clang-format cppcheck shellcheck mandoc

ASAN       = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
UNIT_TESTS = $(basename $(notdir $(wildcard tests/unit/test_*.c)))

# Every module but main's, with sanitizers, for the unit tests.
build/unit/libshim.a: $(filter-out build/unit/shim.o build/unit/tls_musl.o,$(OBJECTS:%=build/unit/%))
	$(Q)ar rcs $@ $^

build/unit/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $< (sanitized)"
	$(Q)$(CC) $(BASE) -O1 -g $(ASAN) $(COVERAGE) -MMD -c -o $@ $<

build/unit/test_%: tests/unit/test_%.c build/unit/libshim.a
	@echo "  TEST  $<"
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -g $(ASAN) $(COVERAGE) -I. -MMD -o $@ $< \
		build/unit/libshim.a $(if $(filter 1,$(TLS)),-lbearssl) $$(pkg-config --cflags --libs check) -lcap

# The client side alone, as a program, for the tests against real servers.
TOOL_OBJECTS = http.o target.o probe.o wait.o net.o resolve.o log.o util.o format.o parse.o names.o out.o voices.o \
	$(TLS_OBJECTS_$(TLS)) tests/servers/target_tool.o

build/target_tool: $(TOOL_OBJECTS:%=$(BUILD)/%) $(LAYOUT_$(LIBC)) | $(TLS_LIBS_musl)
	$(Q)$(LINK_$(LIBC))

unit: $(UNIT_TESTS:%=build/unit/%)

# Everything the tests need that is built; the tests themselves build nothing.
check-build: shim unit replays build/target_tool $(COMPLETIONS)

check:
	@scripts/ensure-packages $(PACKAGES_CHECK)
	@$(MAKE) --no-print-directory check-build
	@tests/check

# What takes longer than a test should, or needs half of Debian: suites of tests/check.
SUITES_REAL = real trees soak

check-real:
	@scripts/ensure-packages $(PACKAGES_REAL)
	@$(MAKE) --no-print-directory shim
	@tests/check $(SUITES_REAL)

# What must not break it: system calls that are refused or fail, time that jumps, and the like.
check-faults:
	@scripts/ensure-packages $(PACKAGES_CHECK)
	@$(MAKE) --no-print-directory shim
	@$(MAKE) --no-print-directory LIBC=glibc BUILD=build/glibc build/glibc/shim
	@tests/faults/run

demo:
	@scripts/ensure-packages $(PACKAGES_DEMO)
	@$(MAKE) --no-print-directory shim
	@examples/demo.sh

# The scenarios once more, with a shim that AddressSanitizer and UBSan watch. Left out is what the
# sanitizers' own runtime cannot do: run in an empty chroot, without /proc, without descriptors, with its
# system calls refused, dump a core, use little memory, or take a signal within the first milliseconds.
SANITIZED_NOT = -x p22_script_without_shebang_and_shell -x p26_core_dump -x p42_read_only_and_nothing \
	-x p43_no_proc -x tiny_stack_and_no_files -x p40_static_and_small -x 'refused.*' \
	-x p77_check_where_there_is_nothing_else -x an_attack_leaves_pid_1_alone \
	-x a_stop_at_any_moment
sanitize:
	@scripts/ensure-packages $(PACKAGES_CHECK)
	@$(MAKE) --no-print-directory LIBC=glibc BUILD=build/asan CFLAGS="$(ASAN)" build/asan/shim
	@SHIM=build/asan/shim tests/run -j 4 --again -m pid1,kernel $(SANITIZED_NOT)

# Each fuzzer for FUZZ_SECONDS, beginning with what fuzz/corpus holds. The replays are the same programs
# without libFuzzer: the unit tests run the corpus through them.
FUZZ_SECONDS = 20
FUZZERS      = $(patsubst fuzz/fuzz_%.c,%,$(wildcard fuzz/fuzz_*.c))
FUZZ_FLAGS   = -std=c11 -D_GNU_SOURCE -g -O1 -I. $(ASAN) $(FUZZ_COVERAGE)
FUZZ_LIBS    = $(if $(filter 1,$(TLS)),-lbearssl) -lcap

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -c -o $@ $<

build/fuzz/libshim.a: $(filter-out build/fuzz/shim.o build/fuzz/tls_musl.o,$(OBJECTS:%=build/fuzz/%))
	$(Q)rm -f $@ && ar rcs $@ $^

build/fuzz/fuzz_%: fuzz/fuzz_%.c build/fuzz/libshim.a
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer -Wall -Wextra -Werror -MMD -o $@ $< build/fuzz/libshim.a $(FUZZ_LIBS)

build/fuzz/replay_%: fuzz/fuzz_%.c fuzz/replay.c build/unit/libshim.a
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -g -O1 $(ASAN) $(COVERAGE) -I. -MMD -MF $@.d -o $@ $< \
		fuzz/replay.c build/unit/libshim.a $(FUZZ_LIBS)

replays: $(FUZZERS:%=build/fuzz/replay_%)

fuzzers: replays $(FUZZERS:%=build/fuzz/fuzz_%)

fuzz:
	@scripts/ensure-packages $(PACKAGES_FUZZ)
	@$(MAKE) --no-print-directory fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/run

coverage:
	@scripts/ensure-packages $(PACKAGES_CHECK)
	@$(MAKE) --no-print-directory COVERAGE=--coverage unit
	@for t in $(UNIT_TESTS); do build/unit/$$t >/dev/null || exit 1; done
	@gcov -n -o build/unit $(filter-out shim.c,$(OBJECTS:.o=.c)) | grep -A1 "^File '[a-z_]*\.c'" | \
		paste - - - | sed "s/^File//; s/--//"

lint:
	@scripts/ensure-packages $(PACKAGES_LINT)
	@$(MAKE) --no-print-directory build/linux-headers build/seal_rules.h
	@scripts/lint $(OBJECTS:.o=.c)

# After a change in what runs in every container: scripts/hot.txt, then build again.
hot: shim
	@scripts/hot $(BUILD)
	@$(MAKE) --no-print-directory shim

# The file, the processes of a running shim, and the system calls of each role; needs root.
hardening:
	@scripts/ensure-packages $(PACKAGES_DEMO) iproute2
	@$(MAKE) --no-print-directory shim build/seccomp_gen
	@OBJECT=$(BUILD)/health.o scripts/hardening

bench: shim
	@bench/run

# --- the rest -----------------------------------------------------------------------------------

install: shim install-completions
	install -D -m 755 shim $(DESTDIR)$(PREFIX)/bin/shim
	install -D -m 644 man/shim.1 $(DESTDIR)$(PREFIX)/share/man/man1/shim.1
	@for name in $(LINKS); do ln -sfn shim $(DESTDIR)$(PREFIX)/bin/$$name; done

install-completions: $(COMPLETIONS)
	install -D -m 644 build/completions/shim.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/shim
	install -D -m 644 build/completions/_shim $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_shim
	install -D -m 644 build/completions/shim.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/shim.fish

clean:
	rm -rf build shim shim.new

help:
	@echo 'make            build ./shim (static PIE, musl); installs nothing'
	@echo 'make demo       install what is missing, build, show what shim does on a real server'
	@echo 'make check      install what is missing, build, run all tests'
	@echo 'make check-real real servers as the app, under load (docs/applications.md), and a soak'
	@echo 'make check-faults  more tests: refused and failing system calls, time that jumps, …'
	@echo 'make sanitize   the scenarios with AddressSanitizer and UBSan'
	@echo 'make fuzz       the fuzzers, FUZZ_SECONDS (20) each'
	@echo 'make lint       cppcheck, gcc -fanalyzer, clang-tidy, shellcheck, mandoc'
	@echo 'make coverage   line coverage of the unit tests'
	@echo 'make hardening what an attacker would find: the file, the processes, their system calls'
	@echo 'make bench      shim beside tini, dumb-init and catatonit'
	@echo 'make hot        list anew what is put first in the file (x86-64, root)'
	@echo 'make install    to DESTDIR and PREFIX; LINKS="tini dumb-init catatonit" adds those names'
	@echo 'make LIBC=glibc build dynamically against glibc (for sanitizers: CFLAGS=-fsanitize=…)'

-include $(wildcard $(BUILD)/*.d $(BUILD)/scripts/*.d build/unit/*.d build/fuzz/*.d)

.PHONY: FORCE all hot unit replays fuzzers check-build check check-real check-faults demo sanitize fuzz coverage lint hardening bench install install-completions clean help
