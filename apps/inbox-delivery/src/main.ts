import { runApp, runMain } from '#http';
import { InboxDeliveryAppModule } from './inbox-delivery.module.js';

await runMain(() =>
  runApp({ name: 'inbox-delivery', module: InboxDeliveryAppModule.forRoot(), sections: InboxDeliveryAppModule.sections }),
);
