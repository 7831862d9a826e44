exports.stopOn = (timer) => process.on('SIGTERM', () => clearInterval(timer));
