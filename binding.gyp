{
  "target_defaults": {
    "cflags": ["-std=gnu11", "-Wall", "-Wextra", "-Wshadow", "-O2", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-D_GNU_SOURCE"],
    "cflags!": ["-Wno-unused-parameter"],
    "ldflags": ["-Wl,-z,relro,-z,now"]
  },
  "targets": [
    {
      "target_name": "pvx",
      "sources": ["<!@(ls native/addon/*.c)", "native/closer.c", "native/message.c"],
      "defines": ["NAPI_VERSION=8"]
    },
    {
      "target_name": "pv-xconnect",
      "type": "executable",
      "sources": ["<!@(ls native/supervisor/*.c)"]
    },
    {
      "target_name": "pvx-broker",
      "type": "executable",
      "sources": ["<!@(ls native/broker/*.c)", "native/closer.c", "native/filter.c", "native/handover.c", "native/message.c"],
      "ldflags": ["-pthread"]
    },
    {
      "target_name": "pvx-relay",
      "type": "executable",
      "sources": ["<!@(ls native/relay/*.c)", "native/closer.c", "native/filter.c", "native/handover.c", "native/message.c"],
      "ldflags": ["-pthread"]
    },
    {
      "target_name": "pvx-bus",
      "type": "executable",
      "sources": ["<!@(ls native/bus/*.c)"]
    },
    {
      "target_name": "pvx-enter",
      "type": "executable",
      "sources": ["<!@(ls native/enter/*.c)"]
    }
  ]
}
