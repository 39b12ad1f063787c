import { Module } from '@nestjs/common';
import { CacheModule, memoryStorage } from 'nestjs-scoped-cache';
import { AuthModule } from './auth/auth.module.js';
import { CatalogController } from './catalog/catalog.controller.js';
import { RatesService } from './catalog/rates.service.js';
import { DashboardController } from './dashboard/dashboard.controller.js';
import { DatabaseModule } from './data/database.module.js';
import { OrdersController } from './orders/orders.controller.js';
import { OrdersService } from './orders/orders.service.js';
import { OrganizationController } from './organization/organization.controller.js';
import { StatsController } from './stats/stats.controller.js';
import { UsersController } from './users/users.controller.js';

@Module({
  imports: [
    DatabaseModule,
    AuthModule,
    CacheModule.forRoot({
      ttl: '5m',
      // One organization can fill its own share, never that of another one.
      storage: memoryStorage({ perScope: { org: { maxEntries: 10_000 } } }),
    }),
  ],
  controllers: [
    CatalogController,
    OrganizationController,
    UsersController,
    OrdersController,
    DashboardController,
    StatsController,
  ],
  providers: [RatesService, OrdersService],
})
export class AppModule {}
