import { runApp, runMain } from '#http';
import { GatewayModule } from './gateway.module.js';

await runMain(() =>
  runApp({ name: 'gateway', module: GatewayModule.forRoot(), sections: GatewayModule.sections, required: ['DATABASE_URL'] }),
);
