Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
setInterval(() => {}, 1000);
