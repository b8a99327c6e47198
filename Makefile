# shim: `make` builds ./shim, `make help` lists the rest. Nothing here installs a package but `demo`,
# `check` and the other targets that say so.

OBJECTS = shim.o signals.o spawn.o explain.o terminal.o forward.o procs.o descriptors.o outcome.o \
	options.o compat.o voices.o scan.o termlog.o termtext.o termjson.o oom.o out.o install.o \
	log.o util.o

LIBC     = musl
CC       = gcc
PREFIX   = /usr/local
BUILD    = build/$(LIBC)
PYTHON   = python3

WARN = -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wwrite-strings -Wcast-qual -Wcast-align -Wpointer-arith -Wundef \
	-Wformat=2 -Wvla -Wswitch-enum -Wnull-dereference -Wdouble-promotion -Werror
BASE = -std=c11 -D_GNU_SOURCE $(WARN)

# musl: a static PIE. musl-gcc's own -static-pie links dynamically, so the pieces are named here.
MUSL_INCLUDE = $(firstword $(wildcard /usr/include/*-linux-musl /usr/local/musl/include))
MUSL_LIB     = $(firstword $(wildcard /usr/lib/*-linux-musl /usr/local/musl/lib))
OPTIMIZE_musl = -Os -fomit-frame-pointer -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
CFLAGS_musl  = $(OPTIMIZE_musl) -fPIE -fstack-protector-strong -nostdinc \
	-isystem $(MUSL_INCLUDE) -isystem $(shell $(CC) -print-file-name=include) -isystem build/linux-headers
LINK_musl    = $(CC) -nostdlib -static-pie $(LDFLAGS) -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--build-id=none \
	-o $@ $(MUSL_LIB)/rcrt1.o $(MUSL_LIB)/crti.o $^ $(LIBS_musl) -Wl,--start-group $(MUSL_LIB)/libc.a -lgcc \
	-Wl,--end-group $(MUSL_LIB)/crtn.o
CFLAGS_glibc = -O1 -g
LINK_glibc   = $(CC) $(CFLAGS_glibc) $(CFLAGS) $(LDFLAGS) -o $@ $^

all: shim

shim: $(BUILD)/shim
	cp $< $@
	@if [ $(LIBC) = musl ]; then strip $@; fi

$(BUILD)/shim: $(OBJECTS:%=$(BUILD)/%)
	$(LINK_$(LIBC))

$(BUILD)/%.o: %.c | build/linux-headers
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS_$(LIBC)) $(CFLAGS) -MMD -c -o $@ $<

# musl brings no kernel headers; only these three trees of the system's are let in.
build/linux-headers:
	@mkdir -p $@
	@for d in linux asm-generic; do ln -sfn /usr/include/$$d $@/$$d; done
	@ln -sfn $$(dirname $$(ls -d /usr/include/*-linux-gnu*/asm/unistd.h /usr/include/asm/unistd.h 2>/dev/null | head -n 1)) $@/asm

clean:
	rm -rf build shim

-include $(OBJECTS:%.o=$(BUILD)/%.d)

.PHONY: all clean
