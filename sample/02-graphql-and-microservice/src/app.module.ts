import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Module, type DynamicModule } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { GraphQLModule } from '@nestjs/graphql';
import { ClientsModule, Transport } from '@nestjs/microservices';
import { CacheModule } from 'nestjs-scoped-cache';
import { TokenGuard } from './auth/token.guard.js';
import { BooksResolver } from './books/books.resolver.js';
import { Database } from './database.js';
import { ShelfResolver } from './shelf/shelf.resolver.js';
import { WarehouseController } from './warehouse/warehouse.controller.js';
import { WAREHOUSE } from './warehouse/warehouse.js';

@Module({
  imports: [
    CacheModule.forRoot({ ttl: '5m', scopes: ['user'] }),
    GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true }),
  ],
  controllers: [WarehouseController],
  providers: [Database, BooksResolver, ShelfResolver, { provide: APP_GUARD, useClass: TokenGuard }],
})
export class AppModule {
  static withWarehouseAt(port: number): DynamicModule {
    const options = { host: '127.0.0.1', port };
    const warehouse = { name: WAREHOUSE, transport: Transport.TCP as const, options };
    return { module: AppModule, imports: [ClientsModule.register([warehouse])] };
  }
}
